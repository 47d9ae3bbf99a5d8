"""Data quality: what each column holds, and how it differs from a baseline.

https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-interpreting-statistics.html
https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-byoc-constraints.html
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sagemaker_local_runtime.images.model_monitor.dataset import Column, Dataset
from sagemaker_local_runtime.images.model_monitor.distribution import SKETCH, levels
from sagemaker_local_runtime.images.model_monitor.drift import data_violations

# "By default, we materialize the distribution in 10 buckets": the page on the statistics.
_BUCKETS = 10
# How many values a text may have to count as categorical. AWS does not say which limit its container has;
# this is the default of Deequ, which it is built on (ColumnProfiler).
_MAX_CATEGORIES = 120
# As AWS's container writes it: tests/data/pipeline/quality_check_step of the SageMaker SDK.
_MONITORING_CONFIG = {
    "evaluate_constraints": "Enabled",
    "emit_metrics": "Enabled",
    "datatype_check_threshold": 1.0,
    "domain_content_threshold": 1.0,
    "distribution_constraints": {
        "perform_comparison": "Enabled",
        "comparison_threshold": 0.1,
        "comparison_method": "Robust",
        "categorical_comparison_threshold": 0.1,
        "categorical_drift_method": "LInfinity",
    },
}


class DataQuality:
    """The quality of the data of one data set.

    :param dataset: the data set.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self.statistics: dict[str, Any] = {
            "version": 0.0,
            "dataset": {"item_count": dataset.rows},
            "features": [_feature(column) for column in dataset.columns],
        }

    def suggest(self) -> dict[str, Any]:
        """Return the constraints that the data set itself satisfies."""
        features = [_constraint(feature) for feature in self.statistics["features"]]
        return {"version": 0.0, "features": features, "monitoring_config": _MONITORING_CONFIG}

    def violations(self, constraints: Any, statistics: Any) -> list[dict[str, str]]:
        """Return where the data set does not satisfy a baseline: the content of its two files.

        :raises UserInputError: the baseline asks for what is not supported.
        """
        return data_violations(self._dataset.columns, self.statistics, constraints, statistics)


def _feature(column: Column) -> dict[str, Any]:
    kind = column.inferred_type
    common = {"num_present": len(column.values), "num_missing": column.missing}
    feature: dict[str, Any] = {"name": column.name, "inferred_type": kind}
    if kind == "String":
        feature["string_statistics"] = {"common": common, **_texts(column)}
    elif kind == "Unknown":
        # Nothing is known of a column without values but how many there are.
        feature["numerical_statistics"] = {"common": common}
    else:
        feature["numerical_statistics"] = {"common": common, **_numbers(column)}
    return feature


def _numbers(column: Column) -> dict[str, Any]:
    values = column.values.astype(float).to_numpy()
    edges = np.linspace(values.min(), values.max(), _BUCKETS + 1)
    counts, _ = np.histogram(values, edges)
    buckets = [
        {"lower_bound": float(low), "upper_bound": float(high), "count": float(count)}
        for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)
    ]
    sketch = {"parameters": SKETCH, "data": [level.tolist() for level in levels(values)]}
    return {
        "mean": float(values.mean()),
        "sum": float(values.sum()),
        "std_dev": float(values.std()),
        "min": float(values.min()),
        "max": float(values.max()),
        "distribution": {"kll": {"buckets": buckets, "sketch": sketch}},
    }


def _texts(column: Column) -> dict[str, Any]:
    counts = column.values.astype(str).value_counts()
    found: dict[str, Any] = {"distinct_count": float(len(counts))}
    if len(counts) <= _MAX_CATEGORIES:
        buckets = [{"value": value, "count": int(count)} for value, count in counts.items()]
        found["distribution"] = {"categorical": {"buckets": buckets}}
    return found


def _constraint(feature: dict[str, Any]) -> dict[str, Any]:
    found = feature.get("string_statistics") or feature["numerical_statistics"]
    present, missing = found["common"]["num_present"], found["common"]["num_missing"]
    constraint = {
        "name": feature["name"],
        "inferred_type": feature["inferred_type"],
        "completeness": present / (present + missing),
    }
    if "min" in found:
        constraint["num_constraints"] = {"is_non_negative": found["min"] >= 0}
    elif "distribution" in found:
        buckets = found["distribution"]["categorical"]["buckets"]
        constraint["string_constraints"] = {"domains": [bucket["value"] for bucket in buckets]}
    return constraint
