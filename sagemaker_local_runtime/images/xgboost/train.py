"""Train in algorithm mode inside a training job; the arguments are ``/opt/ml`` and the image's tag."""

from __future__ import annotations

import inspect
import json
import logging
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import xgboost  # noqa: TID253 - this module trains with it

from sagemaker_local_runtime.images import Image
from sagemaker_local_runtime.images.exceptions import UserInputError
from sagemaker_local_runtime.images.xgboost.data import read_channel
from sagemaker_local_runtime.images.xgboost.hyperparameters import booster_parameters, check_hyperparameters
from sagemaker_local_runtime.images.xgboost.metrics import split_metrics
from sagemaker_local_runtime.images.xgboost.model import save_model

# Called feval before XGBoost 1.6.
_PARAMETERS = inspect.signature(xgboost.train).parameters
_CUSTOM_METRIC = "custom_metric" if "custom_metric" in _PARAMETERS else "feval"
_log = logging.getLogger("xgboost-container")


class Progress(xgboost.callback.TrainingCallback):  # type: ignore[misc] # xgboost has no types
    """Print each round's metrics as the container does, and stop after a SIGTERM."""

    def __init__(self) -> None:
        super().__init__()
        self.terminated = False

    def after_iteration(self, model: Any, epoch: int, evals_log: dict[str, Any]) -> bool:
        """Print one line and return whether to stop training."""
        values = [
            f"{data}-{name}:{(series[-1][0] if isinstance(series[-1], tuple) else series[-1]):.5f}"
            for data, metrics in evals_log.items()
            for name, series in metrics.items()
        ]
        print(f"[{epoch}]", *values, sep="#011", flush=True)
        return self.terminated

    def terminate(self, *_: Any) -> None:
        """Stop after the current round."""
        self.terminated = True


def main(ml: Path, tag: str) -> None:
    """Read the job's configuration and data, train, and save the model."""
    image = Image("sagemaker-xgboost", tag)
    configuration = ml / "input" / "config"
    values = check_hyperparameters(json.loads((configuration / "hyperparameters.json").read_text()))
    channels = json.loads((configuration / "inputdataconfig.json").read_text())
    if "train" not in channels:
        raise UserInputError("Missing required channel: train")
    data = ml / "input" / "data"
    matrices = {
        name: read_channel(
            data / name,
            channels[name].get("ContentType"),
            csv_weights=name == "train" and bool(values.get("csv_weights")),
        )
        for name in ("train", "validation")
        if name in channels
    }
    for name, matrix in matrices.items():
        _log.info("%s matrix has %d rows and %d columns", name.title(), matrix.num_row(), matrix.num_col())
    booster = _train(values, matrices, image.version)
    save_model(booster, ml / "model", pickled=image.pickles)


def _train(values: dict[str, Any], matrices: dict[str, Any], version: tuple[int, ...]) -> Any:
    progress = Progress()
    # On SIGTERM, the container saves the model only if this is set; otherwise it ends immediately.
    if values.get("save_model_on_termination") == "true":
        signal.signal(signal.SIGTERM, progress.terminate)
    parameters = booster_parameters(values, version=version)
    native, custom = _metrics(values)
    if native:
        parameters["eval_metric"] = native
    callbacks: list[Any] = [progress]
    rounds = values.get("early_stopping_rounds")
    if rounds:
        last = next(reversed(matrices))
        callbacks.append(xgboost.callback.EarlyStopping(rounds, data_name=last, save_best=True))
    try:
        return xgboost.train(
            parameters,
            matrices["train"],
            num_boost_round=values["num_round"],
            evals=[(matrix, name) for name, matrix in matrices.items()],
            **{_CUSTOM_METRIC: custom},
            callbacks=callbacks,
            verbose_eval=False,
        )
    except (xgboost.core.XGBoostError, ValueError) as error:
        raise UserInputError(f"XGB train call failed with exception: {error}") from error


def _metrics(values: dict[str, Any]) -> tuple[list[str], Callable[..., Any] | None]:
    wanted = list(values.get("eval_metric", []))
    tuned = values.get("_tuning_objective_metric", "").rpartition(":")[2]
    if tuned and tuned not in wanted:
        wanted.append(tuned)
    return split_metrics(wanted)


if __name__ == "__main__":
    logging.basicConfig(
        stream=sys.stdout, level=logging.INFO, format="[%(asctime)s:%(levelname)s] %(message)s"
    )
    root = Path(sys.argv[1])
    try:
        main(root, sys.argv[2])
    except UserInputError as failure:
        _log.error("%s", failure)
        (root / "output" / "failure").write_text(str(failure))
        sys.exit(1)
