"""Training metrics, read from the output of the program."""

from __future__ import annotations

import contextlib
import math
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
    patterns = []
    for definition in definitions:
        with contextlib.suppress(re.error):  # the log names them
            patterns.append((definition["Name"], _compile(definition["Regex"])))
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


def log_unusable_metrics(job: Job) -> None:
    """Note in the job's log which metrics can never have a value, and why.

    They are not refused: AWS may accept an expression that Python does not.
    """
    for definition in job.document["AlgorithmSpecification"].get("MetricDefinitions", []):
        try:
            _compile(definition["Regex"])
        except re.error as error:
            job.log.add_line(
                f"The metric {definition['Name']} is not recorded: its Regex {definition['Regex']!r} cannot "
                f"be used: {error}; expected a regular expression with a group for the number."
            )


def _compile(expression: str) -> re.Pattern[str]:
    pattern = re.compile(expression)
    if not pattern.groups:
        raise re.error("it has no group")
    return pattern


def _value(pattern: re.Pattern[str], line: str) -> float | None:
    match = pattern.search(line)
    if match is None:
        return None
    try:
        value = float(match.group(1))
    except (TypeError, ValueError):
        return None
    # CloudWatch, where SageMaker sends metrics, refuses NaN and infinity:
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html
    return value if math.isfinite(value) else None
