"""Model quality: how well predictions match the ground truth, and whether that is worse than a baseline.

https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-model-quality-metrics.html
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from sagemaker_local_runtime.images.exceptions import UserInputError
from sagemaker_local_runtime.images.model_monitor import metrics
from sagemaker_local_runtime.images.model_monitor.dataset import Column, Dataset

_PROBLEMS: Mapping[str, str] = {
    "Regression": "regression",
    "BinaryClassification": "binary_classification",
    "MulticlassClassification": "multiclass_classification",
}
_OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    "LessThanThreshold": operator.lt,
    "GreaterThanThreshold": operator.gt,
}
# "Standard deviation for metrics are provided only when at least 200 samples are available. Model Monitor
# computes standard deviation by randomly sampling 80% of the data 5 times": the page above.
_SAMPLES, _SHARE, _LEAST = 5, 0.8, 200


class ModelQuality:
    """The quality of the predictions in one data set.

    :param dataset: the data set.
    :param environment: names its columns and the type of the problem.
    :raises UserInputError: a column is not there, or does not fit the type of the problem.
    """

    def __init__(self, dataset: Dataset, environment: Mapping[str, str]) -> None:
        problem = environment.get("problem_type", "")
        if problem not in _PROBLEMS:
            raise UserInputError(f"problem_type is {problem!r}; expected one of {', '.join(_PROBLEMS)}.")
        self._problem = _PROBLEMS[problem]
        arrays = _READERS[self._problem](dataset, environment)
        self.statistics: dict[str, Any] = {
            "version": 0.0,
            "dataset": {"item_count": dataset.rows},
            f"{self._problem}_metrics": _measured(_MEASURES[self._problem], arrays),
        }

    def suggest(self) -> dict[str, Any]:
        """Return the constraints that the data set itself satisfies."""
        constraints = {}
        for name, values in self._metrics().items():
            value = values.get("value")
            if name in metrics.CONSTRAINED and isinstance(value, float):
                constraints[name] = {
                    "threshold": value,
                    "comparison_operator": metrics.CONSTRAINED[name],
                }
        return {"version": 0.0, f"{self._problem}_constraints": constraints}

    def violations(self, constraints: Any, statistics: Any) -> list[dict[str, str]]:
        """Return the metrics that are worse than the constraints of a baseline allow.

        :param constraints: the constraints.
        :param statistics: the statistics of the baseline; the thresholds are in the constraints.
        :raises UserInputError: a metric that the baseline constrains is not measured.
        """
        found = []
        measured = self._metrics()
        for name, constraint in constraints[f"{self._problem}_constraints"].items():
            if name not in measured:
                raise UserInputError(
                    f"The baseline constrains {name}, which this check does not measure. Set the same "
                    "attributes as for the baseline, such as probability_attribute, or remove the constraint."
                )
            value, threshold = measured[name]["value"], constraint["threshold"]
            compared = constraint["comparison_operator"]
            if isinstance(value, float) and not _OPERATORS[compared](value, threshold):
                continue
            # The words of https://github.com/aws-samples/custom-metrics-for-sagemaker-model-monitor
            description = f"Metric {name} with {value} was {compared} {threshold}"
            found.append({"constraint_check_type": compared, "description": description, "metric_name": name})
        return found

    def _metrics(self) -> dict[str, Any]:
        measured: dict[str, Any] = self.statistics[f"{self._problem}_metrics"]
        return measured


def _measured(measure: Callable[..., dict[str, Any]], arrays: list[Any]) -> dict[str, Any]:
    """Return metrics, each number with its standard deviation."""
    found, count = measure(*arrays), len(arrays[0])
    samples: list[dict[str, Any]] = []
    if count >= _LEAST:
        # Seeded, so that the same data set always gives the same file.
        random = np.random.default_rng(0)
        for _ in range(_SAMPLES):
            chosen = random.choice(count, int(count * _SHARE), replace=False)
            samples.append(measure(*(None if array is None else array[chosen] for array in arrays)))
    return {
        name: value
        if isinstance(value, dict)
        else {"value": _number(value), "standard_deviation": _number(_deviation(samples, name))}
        for name, value in found.items()
    }


def _deviation(samples: list[dict[str, Any]], name: str) -> float:
    return float(np.std([sample[name] for sample in samples])) if samples else float("nan")


def _number(value: float) -> float | str:
    return float(value) if np.isfinite(value) else "NaN"


def _column(dataset: Dataset, environment: Mapping[str, str], name: str) -> Column:
    attribute = environment.get(name)
    if not attribute:
        raise UserInputError(f"{name} is missing. Set it to the column that holds it.")
    column = dataset.column(attribute)
    if column.missing:
        raise UserInputError(
            f"{column.missing} of {dataset.rows} rows have no value in {column.name!r}, the {name}. Fill "
            "them in, or leave out these rows."
        )
    return column


def _numbers(column: Column) -> Any:
    wrong = column.values[~column.kinds.isin(["Integral", "Fractional"])]
    if not wrong.empty:
        raise UserInputError(f"{column.name!r} holds {wrong.iloc[0]!r}; expected a number in every row.")
    return column.values.astype(float).to_numpy()


def _labels(column: Column) -> Any:
    """Return labels as texts; 1, 1.0 and "1" are the same one."""
    if column.inferred_type == "String":
        return column.values.astype(str).to_numpy()
    return np.array([f"{number:g}" for number in column.values.astype(float)])


def _binary(column: Column) -> Any:
    labels = np.char.lower(_labels(column).astype(str))
    wrong = labels[~np.isin(labels, ["0", "1", "false", "true"])]
    if wrong.size:
        raise UserInputError(f"{column.name!r} holds the label {str(wrong[0])!r}; expected 0 and 1.")
    return np.isin(labels, ["1", "true"]).astype(int)


def _read_regression(dataset: Dataset, environment: Mapping[str, str]) -> list[Any]:
    names = ("ground_truth_attribute", "inference_attribute")
    return [_numbers(_column(dataset, environment, name)) for name in names]


def _read_multiclass(dataset: Dataset, environment: Mapping[str, str]) -> list[Any]:
    names = ("ground_truth_attribute", "inference_attribute")
    return [_labels(_column(dataset, environment, name)) for name in names]


def _read_binary(dataset: Dataset, environment: Mapping[str, str]) -> list[Any]:
    truth = _binary(_column(dataset, environment, "ground_truth_attribute"))
    probability = None
    if environment.get("probability_attribute"):
        probability = _numbers(_column(dataset, environment, "probability_attribute"))
    if probability is None or environment.get("inference_attribute"):
        return [truth, _binary(_column(dataset, environment, "inference_attribute")), probability]
    threshold = environment.get("probability_threshold_attribute") or "0.5"
    try:
        return [truth, (probability >= float(threshold)).astype(int), probability]
    except ValueError as error:
        raise UserInputError(
            f"probability_threshold_attribute is {threshold!r}; expected a number such as 0.5."
        ) from error


_READERS: Mapping[str, Callable[[Dataset, Mapping[str, str]], list[Any]]] = {
    "regression": _read_regression,
    "binary_classification": _read_binary,
    "multiclass_classification": _read_multiclass,
}
_MEASURES: Mapping[str, Callable[..., dict[str, Any]]] = {
    "regression": metrics.regression,
    "binary_classification": metrics.binary,
    "multiclass_classification": metrics.multiclass,
}
