"""Check and convert the hyperparameters of the XGBoost container, which are strings.

https://docs.aws.amazon.com/sagemaker/latest/dg/xgboost_hyperparameters.html
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from sagemaker_local_runtime.images.exceptions import UserInputError

Check = Callable[[str], Any]


def _number(kind: type, low: float | None = None, high: float | None = None, *, above: bool = False) -> Check:
    """Return a reader of numbers in a range; ``above`` excludes the lower end."""

    def read(text: str) -> Any:
        value = kind(text)
        if (
            (low is not None and (value < low or (above and value == low)))
            or (high is not None and value > high)
            or value != value
        ):
            raise ValueError(f"expected {'more than' if above else 'at least'} {low} and at most {high}")
        return value

    return read


def _one_of(*choices: str) -> Check:
    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(f"expected one of {', '.join(choices)}")
        return text

    return read


def _list(text: str) -> list[str]:
    words = [word.strip() for word in text.strip("[] ").replace("'", "").replace('"', "").split(",")]
    return [word for word in words if word]


def _nested_list(text: str) -> str:
    json.loads(text)
    return text


_SWITCH = _number(int, 0, 1)
_SHARE = _number(float, 0, 1)
_POSITIVE_SHARE = _number(float, 0, 1, above=True)
_NOT_NEGATIVE = _number(float, 0)
_COUNT = _number(int, 0)
_POSITIVE = _number(int, 1)

_KNOWN: Mapping[str, Check] = {
    "num_round": _POSITIVE,
    "alpha": _NOT_NEGATIVE,
    "aft_loss_distribution": _one_of("normal", "logistic", "extreme"),
    "aft_loss_distribution_scale": _number(float, 0, above=True),
    "base_score": _number(float),
    "booster": _one_of("gbtree", "gblinear", "dart"),
    "colsample_bylevel": _POSITIVE_SHARE,
    "colsample_bynode": _POSITIVE_SHARE,
    "colsample_bytree": _POSITIVE_SHARE,
    "csv_weights": _SWITCH,
    "deterministic_histogram": _one_of("true", "false"),
    "dsplit": _one_of("row", "col"),
    "early_stopping_rounds": _POSITIVE,
    "eta": _SHARE,
    "eval_metric": _list,
    "gamma": _NOT_NEGATIVE,
    "grow_policy": _one_of("depthwise", "lossguide"),
    "huber_slope": _number(float, 0, above=True),
    "interaction_constraints": _nested_list,
    "lambda": _NOT_NEGATIVE,
    "lambda_bias": _SHARE,
    "max_bin": _COUNT,
    "max_cat_threshold": _POSITIVE,
    "max_cat_to_onehot": _POSITIVE,
    "max_delta_step": _NOT_NEGATIVE,
    "max_depth": _COUNT,
    "max_leaves": _COUNT,
    "min_child_weight": _NOT_NEGATIVE,
    "monotone_constraints": str,
    "normalize_type": _one_of("tree", "forest"),
    "nthread": _POSITIVE,
    "num_class": _number(int, 2),
    "num_parallel_tree": _POSITIVE,
    "objective": str,
    "one_drop": _SWITCH,
    "predictor": _one_of("auto", "cpu_predictor", "gpu_predictor"),
    "process_type": _one_of("default", "update"),
    "rate_drop": _SHARE,
    "refresh_leaf": _SWITCH,
    "sample_type": _one_of("uniform", "weighted"),
    "sampling_method": _one_of("uniform", "gradient_based"),
    "save_model_on_termination": _one_of("true", "false"),
    "scale_pos_weight": _number(float, 0, above=True),
    "seed": _number(int, -(2**31), 2**31 - 1),
    "silent": _SWITCH,
    "single_precision_histogram": _one_of("true", "false"),
    "sketch_eps": _number(float, 0, 1, above=True),
    "skip_drop": _SHARE,
    "subsample": _POSITIVE_SHARE,
    "tree_method": _one_of("auto", "exact", "approx", "hist", "gpu_hist"),
    "tweedie_variance_power": _number(float, 1, 2, above=True),
    "updater": _list,
    "use_dask_gpu_training": _one_of("true", "false"),
    "verbosity": _number(int, 0, 3),
    "_tuning_objective_metric": str,
}
# The container's own, or removed from XGBoost; they are not passed to the booster.
_NOT_FOR_THE_BOOSTER = {
    "csv_weights",
    "deterministic_histogram",
    "dsplit",
    "early_stopping_rounds",
    "eval_metric",
    "num_round",
    "predictor",
    "save_model_on_termination",
    "silent",
    "single_precision_histogram",
    "sketch_eps",
    "use_dask_gpu_training",
    "_tuning_objective_metric",
}
_RENAMED = {"objective": {"reg:linear": "reg:squarederror"}, "tree_method": {"gpu_hist": "hist"}}
_UNSUPPORTED = {"_kfold", "_num_cv_round"}


def check_hyperparameters(values: Mapping[str, str]) -> dict[str, Any]:
    """Return the hyperparameters as values of their types.

    :param values: the job's strings.
    :raises UserInputError: one is unknown, unsupported here, missing or out of range.
    """
    checked = {}
    for name, text in values.items():
        if name in _UNSUPPORTED:
            raise UserInputError(
                f"Hyperparameter {name}: cross-validation is not supported by the local runtime."
            )
        if name not in _KNOWN:
            raise UserInputError(f"Extraneous hyperparameter found: {name}")
        try:
            checked[name] = _KNOWN[name](text)
        except ValueError as error:
            raise UserInputError(f"Hyperparameter {name}: invalid value {text!r}: {error}.") from error
    if "num_round" not in checked:
        raise UserInputError("Missing required hyperparameter: num_round")
    if str(checked.get("objective", "")).startswith("multi:") and "num_class" not in checked:
        raise UserInputError("Require input for parameter 'num_class' for multi-classification")
    return checked


def booster_parameters(checked: Mapping[str, Any], *, version: tuple[int, ...]) -> dict[str, Any]:
    """Return the parameters that are passed to XGBoost.

    :param checked: the result of :func:`check_hyperparameters`.
    :param version: the image's version; for older ones, names that XGBoost has dropped are translated.
    """
    parameters = {name: value for name, value in checked.items() if name not in _NOT_FOR_THE_BOOSTER}
    if "updater" in parameters:
        parameters["updater"] = ",".join(parameters["updater"])
    if version < (3,):
        for name, translated in _RENAMED.items():
            if name in parameters:
                parameters[name] = translated.get(parameters[name], parameters[name])
    return parameters
