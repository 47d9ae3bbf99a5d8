"""Training metrics, read from the output of the program."""

from __future__ import annotations

import re
import time
from typing import Any

from sagemaker_local_runtime.jobs.job import Job

_NUMBER = r"([-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)"
# The built-in metrics of the XGBoost container: "[3]#011train-rmse:1.23" is train:rmse.
_XGBOOST = re.compile(rf"#011(train|validation)-([\w@.-]+?):{_NUMBER}(?=#011|\s|$)")


def final_metrics(job: Job, *, built_in: bool) -> list[dict[str, Any]]:
    """Return ``FinalMetricDataList``: the last value of each metric that the job defines.

    :param built_in: whether the job runs the built-in algorithm, which defines metrics of its own.
    """
    definitions = job.document["AlgorithmSpecification"].get("MetricDefinitions", [])
    if not definitions and not built_in:
        return []
    patterns = [(definition["Name"], _compile(definition["Regex"])) for definition in definitions]
    found: dict[str, float] = {}
    with job.folder.log.open(encoding="utf-8", errors="replace") as log:
        for line in log:
            if built_in:
                found |= {f"{data}:{name}": float(value) for data, name, value in _XGBOOST.findall(line)}
            for name, pattern in patterns:
                value = _value(pattern, line)
                if value is not None:
                    found[name] = value
    now = time.time()
    return [{"MetricName": name, "Value": value, "Timestamp": now} for name, value in found.items()]


def _compile(expression: str) -> re.Pattern[str] | None:
    try:
        return re.compile(expression)
    except re.error:
        return None


def _value(pattern: re.Pattern[str] | None, line: str) -> float | None:
    match = pattern.search(line) if pattern else None
    if match is None or not match.groups():
        return None
    try:
        return float(match.group(1))
    except (TypeError, ValueError):
        return None
