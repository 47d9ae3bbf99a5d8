"""The metrics of model quality, under the names that AWS's container gives them.

https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-model-quality-metrics.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn import metrics  # noqa: TID253 - this module is about its metrics

_LESS, _GREATER = "LessThanThreshold", "GreaterThanThreshold"
_BETAS = {"f0_5": 0.5, "f1": 1.0, "f2": 2.0}
#: The metrics for which a constraint is suggested, with the comparison that violates it.
CONSTRAINED: Mapping[str, str] = {
    **dict.fromkeys(["mae", "mse", "rmse", "false_positive_rate", "false_negative_rate"], _GREATER),
    **dict.fromkeys(["r2", "recall", "precision", "accuracy", "auc", *_BETAS], _LESS),
    **dict.fromkeys(["true_positive_rate", "true_negative_rate"], _LESS),
    **dict.fromkeys(["weighted_recall", "weighted_precision", *(f"weighted_{f}" for f in _BETAS)], _LESS),
}
_CONSTANT = "best_constant_classifier"


def regression(truth: Any, predicted: Any) -> dict[str, Any]:
    """Return the metrics of predicted numbers.

    :param truth: an array of numbers.
    :param predicted: an array of the same length.
    """
    return {
        "mae": metrics.mean_absolute_error(truth, predicted),
        "mse": metrics.mean_squared_error(truth, predicted),
        "rmse": metrics.root_mean_squared_error(truth, predicted),
        "r2": metrics.r2_score(truth, predicted) if len(truth) > 1 else np.nan,
    }


def binary(truth: Any, predicted: Any, probability: Any = None) -> dict[str, Any]:
    """Return the metrics of predictions of one of two classes.

    :param truth: an array of 0 and 1.
    :param predicted: an array of the same length, of 0 and 1.
    :param probability: the probability of 1 of each; without it, there are no curves and no ``auc``.
    """
    matrix = metrics.confusion_matrix(truth, predicted, labels=[0, 1])
    (tn, fp), (fn, tp) = matrix.tolist()
    f, constant = _f_scores(truth, predicted, "binary"), np.ones_like(truth)
    return {
        "confusion_matrix": _matrix(matrix, ["0", "1"]),
        **_scores(truth, predicted, "binary"),
        **{f"{name}_{_CONSTANT}": v for name, v in _scores(truth, constant, "binary").items()},
        "true_positive_rate": _ratio(tp, tp + fn),
        "true_negative_rate": _ratio(tn, tn + fp),
        "false_positive_rate": _ratio(fp, tn + fp),
        "false_negative_rate": _ratio(fn, tp + fn),
        **(_curves(truth, probability) if probability is not None else {}),
        **f,
        **{f"{name}_{_CONSTANT}": v for name, v in _f_scores(truth, constant, "binary").items()},
    }


def multiclass(truth: Any, predicted: Any) -> dict[str, Any]:
    """Return the metrics of predictions of one of several classes.

    :param truth: an array of labels.
    :param predicted: an array of the same length.
    """
    labels = sorted({*truth.tolist(), *predicted.tolist()})
    # What AWS calls the best constant classifier gives, in its published examples, the last class.
    constant = np.full_like(truth, max(truth.tolist()))
    return {
        "confusion_matrix": _matrix(metrics.confusion_matrix(truth, predicted, labels=labels), labels),
        **_weighted(truth, predicted),
        **{f"{name}_{_CONSTANT}": value for name, value in _weighted(truth, constant).items()},
    }


def _weighted(truth: Any, predicted: Any) -> dict[str, float]:
    scores = {**_scores(truth, predicted, "weighted"), **_f_scores(truth, predicted, "weighted")}
    names = ("accuracy", "recall", "precision", *_BETAS)
    return {name if name == "accuracy" else f"weighted_{name}": scores[name] for name in names}


def _scores(truth: Any, predicted: Any, average: str) -> dict[str, float]:
    options = {"average": average, "zero_division": 0}
    return {
        "recall": metrics.recall_score(truth, predicted, **options),
        "precision": metrics.precision_score(truth, predicted, **options),
        "accuracy": metrics.accuracy_score(truth, predicted),
    }


def _f_scores(truth: Any, predicted: Any, average: str) -> dict[str, float]:
    return {
        name: metrics.fbeta_score(truth, predicted, beta=beta, average=average, zero_division=0)
        for name, beta in _BETAS.items()
    }


def _curves(truth: Any, probability: Any) -> dict[str, Any]:
    if len(np.unique(truth)) < 2:
        return {"auc": np.nan}
    false_positives, true_positives, _ = metrics.roc_curve(truth, probability)
    precisions, recalls, _ = metrics.precision_recall_curve(truth, probability, drop_intermediate=True)
    return {
        "receiver_operating_characteristic_curve": {
            "false_positive_rates": false_positives.tolist(),
            "true_positive_rates": true_positives.tolist(),
        },
        "precision_recall_curve": {"precisions": precisions.tolist(), "recalls": recalls.tolist()},
        "auc": metrics.roc_auc_score(truth, probability),
    }


def _matrix(matrix: Any, labels: list[str]) -> dict[str, dict[str, int]]:
    """Return how often each class, the key, was predicted as each class."""
    return {
        label: dict(zip(labels, row, strict=True)) for label, row in zip(labels, matrix.tolist(), strict=True)
    }


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else np.nan
