"""ComparisonCompare: compare two models' predictions of the same labelled rows by a paired bootstrap."""

from __future__ import annotations

import argparse
import json
import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from feature_transform import BadDataError, run_job
from numpy.typing import NDArray
from scipy.stats import bootstrap
from sklearn import metrics  # noqa: TID253 - runs in the sklearn container

INPUT = Path("/opt/ml/processing/input")
OUTPUT = Path("/opt/ml/processing/output")

FORMAT = 1
#: The number of values in the resamples that are in memory at a time: about 100 MB of labels and predictions.
BATCH = 2_000_000
Vector = NDArray[np.float64]


def _of_classes(metric: Callable[..., float]) -> Callable[[Vector, Vector], float]:
    """Return a metric of classes: a prediction is a class, or the probability of class 1."""
    return lambda labels, predictions: float(metric(labels, np.rint(predictions)))


#: By the name that a gate has for it.
METRICS: Mapping[str, Callable[[Vector, Vector], float]] = {
    "accuracy": _of_classes(metrics.accuracy_score),
    "auc": metrics.roc_auc_score,
    "f1": _of_classes(metrics.f1_score),
    # Rows of one class, which a resample may have, have a log loss if both classes are named.
    "log_loss": lambda labels, predictions: float(metrics.log_loss(labels, predictions, labels=[0, 1])),
    "mae": metrics.mean_absolute_error,
    "mse": metrics.mean_squared_error,
    "precision": _of_classes(metrics.precision_score),
    "r2": metrics.r2_score,
    "recall": _of_classes(metrics.recall_score),
    "rmse": metrics.root_mean_squared_error,
}


@dataclass(frozen=True)
class Rule:
    """What decides.

    :param metric: a name in ``METRICS``.
    :param larger_is_better: whether the larger value is the better one.
    :param margin: by how much the challenger has to be better.
    :param confidence: the confidence level of the interval.
    :param resamples: the number of resamples.
    :param seed: the seed of the random numbers.
    """

    metric: str
    larger_is_better: bool
    margin: float
    confidence: float
    resamples: int
    seed: int

    def wins(self, difference: float, interval: tuple[float, float]) -> bool:
        """Return whether a challenger wins: it is better by the margin, and not by chance.

        :param difference: the challenger's metric minus the champion's.
        :param interval: the confidence interval of the difference.
        """
        gain, least = (difference, interval[0]) if self.larger_is_better else (-difference, -interval[1])
        return gain > self.margin and least > 0


def compare(
    labels: Vector, challenger: Vector, champion: Vector, slices: Mapping[str, list[int]], rule: Rule
) -> dict[str, Any]:
    """Return the report.

    :param labels: the labels, shape (rows,).
    :param challenger: its predictions of these rows, shape (rows,).
    :param champion: its predictions of these rows, shape (rows,).
    :param slices: row numbers by the name of the slice.
    :param rule: what decides.
    :raise BadDataError: when the metric cannot be computed on these rows, or when it or its interval is not
        a number.
    """
    metric = METRICS[rule.metric]
    try:
        values = {"challenger": metric(labels, challenger), "champion": metric(labels, champion)}
        interval = interval_of_difference(labels, challenger, champion, rule)
    except ValueError as error:
        raise BadDataError(
            f"{rule.metric} cannot be computed from these {len(labels)} labels and predictions: {error}. "
            "Metrics of classes expect the labels 0 and 1, and the probability of class 1 as prediction. "
            "Correct the holdout or what the model returns, or compare another metric."
        ) from error
    difference = float(values["challenger"] - values["champion"])
    if not all(map(math.isfinite, (*values.values(), *interval))):
        raise BadDataError(
            f"{rule.metric} is {values['challenger']} and {values['champion']}, and the interval of the "
            f"difference is {interval}, on {len(labels)} rows; expected finite numbers. Use a holdout with "
            "more rows, and with enough rows of each class."
        )
    return {
        "format": FORMAT,
        **vars(rule),
        "rows": len(labels),
        **{name: {"value": float(value)} for name, value in values.items()},
        "difference": difference,
        "interval": list(interval),
        "slices": [
            {"name": name, "rows": len(rows)}
            | {
                model: _or_none(metric, labels[rows], predictions[rows])
                for model, predictions in (("challenger", challenger), ("champion", champion))
            }
            for name, rows in slices.items()
        ],
        # As a number, because a Condition of SageMaker compares numbers.
        "wins": int(rule.wins(difference, interval)),
    }


def interval_of_difference(
    labels: Vector, challenger: Vector, champion: Vector, rule: Rule
) -> tuple[float, float]:
    """Return the confidence interval of the difference of the metrics.

    Each resample draws the same rows for both models, so that what makes a row hard for both cancels out.
    """
    metric = METRICS[rule.metric]

    def difference(labels: Vector, challenger: Vector, champion: Vector) -> float:
        return metric(labels, challenger) - metric(labels, champion)

    with warnings.catch_warnings():
        # A resample of one class has no AUC; then the interval is not a number, and is refused.
        warnings.simplefilter("ignore")
        found = bootstrap(
            (labels, challenger, champion),
            difference,
            paired=True,
            vectorized=False,
            n_resamples=rule.resamples,
            batch=max(1, BATCH // len(labels)),
            confidence_level=rule.confidence,
            # The default, BCa, has no interval for models that never differ.
            method="percentile",
            random_state=np.random.default_rng(rule.seed),
        ).confidence_interval
    return float(found.low), float(found.high)


def _or_none(metric: Callable[[Vector, Vector], float], labels: Vector, predictions: Vector) -> float | None:
    """Return a metric of some rows; None where it is not defined, such as the AUC of one class."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            value = float(metric(labels, predictions))
        except ValueError:
            return None
    return value if math.isfinite(value) else None


def read_numbers(path: Path, rows: int | None = None) -> Vector:
    """Return the finite numbers of a file with one in each line.

    :param path: the file.
    :param rows: how many they have to be; None accepts any number.
    :raise BadDataError: when it is missing or has other lines.
    """
    try:
        values = np.loadtxt(path, delimiter=",", ndmin=1, dtype=float)
    except (OSError, ValueError) as error:
        raise BadDataError(f"{path} cannot be read as one number in each line: {error}.") from error
    if values.ndim != 1 or not np.isfinite(values).all():
        raise BadDataError(f"{path}: expected one finite number in each line.")
    if rows is not None and len(values) != rows:
        raise BadDataError(
            f"{path} has {len(values)} predictions for {rows} rows; expected one for each row."
        )
    return values


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--challenger-package-arn", required=True)
    parser.add_argument("--champion-package-arn", required=True)
    parser.add_argument("--metric", required=True, choices=sorted(METRICS))
    parser.add_argument("--larger-is-better", required=True, choices=["true", "false"])
    for name in ("margin", "confidence"):
        parser.add_argument(f"--{name}", required=True, type=float)
    for name in ("resamples", "seed"):
        parser.add_argument(f"--{name}", required=True, type=int)
    given = vars(parser.parse_args())
    arns = {name: given.pop(f"{name}_package_arn") for name in ("challenger", "champion")}
    rule = Rule(**given | {"larger_is_better": given["larger_is_better"] == "true"})
    labels = read_numbers(INPUT / "rows" / "labels.csv")
    challenger, champion = (read_numbers(INPUT / name / "features.csv.out", len(labels)) for name in arns)
    slices = json.loads((INPUT / "rows" / "slices.json").read_text(encoding="utf-8"))
    report = compare(labels, challenger, champion, slices, rule)
    for name, arn in arns.items():
        report[name]["arn"] = arn
    target = OUTPUT / "comparison" / "comparison.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(report, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    print(json.dumps(report))


if __name__ == "__main__":
    run_job(main)
