"""Where the columns of a data set do not satisfy the constraints of a baseline.

https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-interpreting-violations.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sagemaker_local_runtime.images.exceptions import UserInputError
from sagemaker_local_runtime.images.model_monitor.dataset import Column
from sagemaker_local_runtime.images.model_monitor.distribution import (
    categorical_distance,
    numerical_distance,
    robust,
    size,
)

Document = Mapping[str, Any]
# In the documentation, and in the files of AWS's container.
_OVERRIDES = ("monitoringConfigOverrides", "monitoring_config_overrides")
# By comparison_method: the names in the documentation's schema, and those in its table.
_IS_ROBUST = {"Simple": False, "linf_simple": False, "Robust": True, "linf_robust": True}


@dataclass(frozen=True)
class Feature:
    """A column, and what its baseline says.

    :param column: the column.
    :param statistics: what is in the statistics of the data set.
    :param earlier: what is in the statistics of the baseline; empty if there is nothing.
    :param constraint: what is in the constraints of the baseline.
    :param config: its ``monitoring_config``, with the column's own.
    """

    column: Column
    statistics: Document
    earlier: Document
    constraint: Document
    config: Document


def data_violations(
    columns: Sequence[Column], statistics: Document, constraints: Document, earlier: Document
) -> list[dict[str, str]]:
    """Return the violations, in the format of ``constraint_violations.json``.

    :param columns: the columns of the data set.
    :param statistics: its statistics.
    :param constraints: the constraints of the baseline.
    :param earlier: the statistics of the baseline.
    :raises UserInputError: the baseline asks for what is not supported.
    """
    expected = {feature["name"]: feature for feature in constraints["features"]}
    before = {feature["name"]: feature for feature in earlier["features"]}
    config = constraints.get("monitoring_config", {})
    if config.get("evaluate_constraints") == "Disabled":
        return []
    found = list(_names([column.name for column in columns], list(expected)))
    for column, known in zip(columns, statistics["features"], strict=True):
        constraint = expected.get(column.name)
        if constraint is None:
            continue
        own: Document = next((constraint[key] for key in _OVERRIDES if key in constraint), {})
        feature = Feature(column, known, before.get(column.name, {}), constraint, _merged(config, own))
        if feature.config.get("evaluate_constraints") != "Disabled":
            found += _checks(feature)
    return found


def _violation(name: str, check: str, description: str) -> dict[str, str]:
    return {"feature_name": name, "constraint_check_type": check, "description": description}


def _merged(config: Document, own: Document) -> dict[str, Any]:
    key = "distribution_constraints"
    return {**config, **own, key: {**config.get(key, {}), **own.get(key, {})}}


def _names(current: list[str], baseline: list[str]) -> Iterator[dict[str, str]]:
    """Compare the columns by their names: AWS documents a comparison of their numbers."""
    numbers = f"The data set has {len(current)} columns, the baseline {len(baseline)}."
    for name in baseline:
        if name not in current:
            yield _violation(name, "missing_column_check", f"The column is missing. {numbers}")
    for name in current:
        if name not in baseline:
            yield _violation(name, "extra_column_check", f"The column is not in the baseline. {numbers}")


def _checks(feature: Feature) -> Iterator[dict[str, str]]:
    checks = {
        "data_type_check": _data_type,
        "completeness_check": _completeness,
        "categorical_values_check": _categorical_values,
        "baseline_drift_check": _drift,
    }
    for name, check in checks.items():
        description = check(feature)
        if description:
            yield _violation(feature.column.name, name, description)


def _data_type(feature: Feature) -> str | None:
    expected = feature.constraint["inferred_type"]
    column, threshold = feature.column, feature.config.get("datatype_check_threshold", 1.0)
    if expected == "Unknown" or column.inferred_type == "Unknown":
        return None
    if expected == "String":
        # A text may look like a number; a column of numbers is not one of texts.
        share = float(column.inferred_type == "String")
    else:
        fitting = ("Integral", "Fractional") if expected == "Fractional" else ("Integral",)
        share = float(column.kinds.isin(fitting).mean())
    if share >= threshold:
        return None
    # As in the reports that AWS's container writes.
    return (
        f"Data type match requirement is not met. Expected data type: {expected}, Expected match: "
        f"{threshold * 100}%. Observed: Only {share * 100}% of data is {expected}."
    )


def _completeness(feature: Feature) -> str | None:
    column, least = feature.column, feature.constraint["completeness"]
    share = len(column.values) / (len(column.values) + column.missing)
    return f"Completeness is {share:.6g}, expected at least {least:.6g}." if share < least else None


def _categorical_values(feature: Feature) -> str | None:
    domains = feature.constraint.get("string_constraints", {}).get("domains")
    if not domains or feature.column.values.empty:
        return None
    values = feature.column.values.astype(str)
    share, least = float(values.isin(domains).mean()), feature.config.get("domain_content_threshold", 1.0)
    if share >= least:
        return None
    unknown = ", ".join(values[~values.isin(domains)].unique()[:3])
    return (
        f"The share of values that the baseline knows is {share:.6g}, expected at least {least:.6g}. "
        f"It does not know, for example, {unknown}."
    )


def _drift(feature: Feature) -> str | None:
    config = feature.config["distribution_constraints"]
    kind = "string" if "string_statistics" in feature.statistics else "numerical"
    current, baseline = (
        found.get(f"{kind}_statistics", {}).get("distribution")
        for found in (feature.statistics, feature.earlier)
    )
    if config.get("perform_comparison") == "Disabled" or not current or not baseline:
        return None
    threshold = config.get("comparison_threshold", 0.1)
    if kind == "string":
        _require_l_infinity(config)
        threshold = config.get("categorical_comparison_threshold", threshold)
        distance, n, m = _categorical(current, baseline)
    else:
        distance, n, m = _numerical(current, baseline)
    if _IS_ROBUST[config.get("comparison_method", "Robust")]:
        distance = robust(distance, n, m)
    if distance <= threshold:
        return None
    return f"Baseline drift distance: {distance:.4g} exceeds threshold: {threshold}"


def _require_l_infinity(config: Document) -> None:
    method = config.get("categorical_drift_method", "LInfinity")
    if method != "LInfinity":
        raise UserInputError(
            f"categorical_drift_method is {method!r} in the constraints of the baseline; the local runtime "
            "supports LInfinity. Change it there."
        )


def _numerical(current: Document, baseline: Document) -> tuple[float, float, float]:
    one, other = (found["kll"]["sketch"]["data"] for found in (current, baseline))
    return numerical_distance(one, other), size(one), size(other)


def _categorical(current: Document, baseline: Document) -> tuple[float, float, float]:
    one, other = (
        {bucket["value"]: bucket["count"] for bucket in found["categorical"]["buckets"]}
        for found in (current, baseline)
    )
    return categorical_distance(one, other), sum(one.values()), sum(other.values())
