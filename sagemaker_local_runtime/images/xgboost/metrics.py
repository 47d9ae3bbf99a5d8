"""Evaluation metrics that the XGBoost container adds to XGBoost's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

Metric = Callable[[Any, Any], float]


def _accuracy(labels: Any, classes: Any) -> float:
    return float(np.mean(labels == classes))


def _mse(labels: Any, predicted: Any) -> float:
    return float(np.mean((labels - predicted) ** 2))


def _r2(labels: Any, predicted: Any) -> float:
    total = float(np.sum((labels - np.mean(labels)) ** 2))
    return 1.0 - float(np.sum((labels - predicted) ** 2)) / total if total else 0.0


def _scikit(name: str, **options: Any) -> Metric:
    def compute(labels: Any, classes: Any) -> float:
        from sklearn import metrics

        return float(getattr(metrics, name)(labels, classes, **options))

    return compute


_REGRESSION: Mapping[str, Metric] = {"mse": _mse, "r2": _r2}
_CLASSIFICATION: Mapping[str, Metric] = {
    "accuracy": _accuracy,
    "balanced_accuracy": _scikit("balanced_accuracy_score"),
    "f1": _scikit("f1_score", average="macro"),
    "f1_binary": _scikit("f1_score", average="binary"),
    "f1_macro": _scikit("f1_score", average="macro"),
    "precision": _scikit("precision_score", average="binary"),
    "precision_macro": _scikit("precision_score", average="macro"),
    "precision_micro": _scikit("precision_score", average="micro"),
    "recall": _scikit("recall_score", average="binary"),
    "recall_macro": _scikit("recall_score", average="macro"),
    "recall_micro": _scikit("recall_score", average="micro"),
}


def split_metrics(names: Sequence[str]) -> tuple[list[str], Callable[..., list[tuple[str, float]]] | None]:
    """Return the metrics that are XGBoost's own, and a function that computes the others, if any."""
    added = [name for name in names if name in _REGRESSION or name in _CLASSIFICATION]
    own = [name for name in names if name not in added]
    if not added:
        return own, None

    def compute(predictions: Any, matrix: Any) -> list[tuple[str, float]]:
        labels = matrix.get_label()
        return [(name, _compute(name, labels, predictions)) for name in added]

    return own, compute


def _compute(name: str, labels: Any, predictions: Any) -> float:
    if name in _REGRESSION:
        return _REGRESSION[name](labels, predictions)
    classes = np.argmax(predictions, axis=1) if predictions.ndim > 1 else np.round(predictions)
    return _CLASSIFICATION[name](labels, classes)
