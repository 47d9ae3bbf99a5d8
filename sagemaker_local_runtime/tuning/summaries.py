"""What a tuning job tells about its training jobs: summaries, counters and the best one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

Document = dict[str, Any]

_COPIED = (
    "TrainingJobName",
    "TrainingJobArn",
    "CreationTime",
    "TrainingStartTime",
    "TrainingEndTime",
    "TrainingJobStatus",
    "FailureReason",
)
_RUNNING = frozenset({"InProgress", "Stopping"})
_FINAL_METRIC = "FinalHyperParameterTuningJobObjectiveMetric"


def objective_of(job: Mapping[str, Any], metric: str) -> float | None:
    """Return the final value of a metric of a training job, or None.

    :param job: DescribeTrainingJob's answer.
    :param metric: the metric's name.
    """
    found = {item["MetricName"]: item["Value"] for item in job.get("FinalMetricDataList", ())}
    return found.get(metric)


def final_value(item: Mapping[str, Any]) -> float | None:
    """Return the objective metric in the summary of a training job, or None."""
    value: float | None = item.get(_FINAL_METRIC, {}).get("Value")
    return value


def summary(job: Mapping[str, Any], *, tuning_job: str, metric: str, names: Iterable[str]) -> Document:
    """Return the summary of one training job.

    :param job: DescribeTrainingJob's answer.
    :param tuning_job: the name of its tuning job.
    :param metric: the objective metric.
    :param names: the hyperparameters that are tuned.
    """
    value = objective_of(job, metric)
    final = {} if value is None else {_FINAL_METRIC: {"MetricName": metric, "Value": value}}
    if job["TrainingJobStatus"] in _RUNNING:
        status = "Pending"
    else:
        status = "Failed" if value is None or job["TrainingJobStatus"] == "Failed" else "Succeeded"
    return {
        **{key: job[key] for key in _COPIED if key in job},
        "TuningJobName": tuning_job,
        "TunedHyperParameters": {name: job["HyperParameters"][name] for name in names},
        "ObjectiveStatus": status,
        **final,
    }


def counters(summaries: Iterable[Mapping[str, Any]]) -> Document:
    """Return both counters of a tuning job."""
    jobs: Counter[str] = Counter()
    objectives: Counter[str] = Counter()
    for item in summaries:
        jobs[_counted_as(item)] += 1
        objectives[item["ObjectiveStatus"]] += 1
    names = ("Completed", "InProgress", "RetryableError", "NonRetryableError", "Stopped")
    return {
        "TrainingJobStatusCounters": {name: jobs[name] for name in names},
        "ObjectiveStatusCounters": {name: objectives[name] for name in ("Succeeded", "Pending", "Failed")},
    }


def best_first(summaries: Iterable[Document], *, minimize: bool) -> list[Document]:
    """Return the summaries ordered by their objective metric; those without one come last."""
    sign = 1 if minimize else -1

    def key(item: Document) -> tuple[bool, float]:
        value = final_value(item)
        return value is None, sign * (value or 0.0)

    return sorted(summaries, key=key)


def best(summaries: Iterable[Document], *, minimize: bool) -> Document | None:
    """Return the summary of the completed training job with the best objective metric, or None."""
    completed = [
        item
        for item in summaries
        if item["TrainingJobStatus"] == "Completed" and final_value(item) is not None
    ]
    return next(iter(best_first(completed, minimize=minimize)), None)


def _counted_as(item: Mapping[str, Any]) -> str:
    status = str(item["TrainingJobStatus"])
    if status in _RUNNING:
        return "InProgress"
    if status != "Failed":
        return status
    # "failed, but can be retried. A failed training job can be retried only if it failed because an
    # internal service error occurred": API_TrainingJobStatusCounters.html
    is_retryable = str(item.get("FailureReason", "")).startswith("InternalServerError")
    return "RetryableError" if is_retryable else "NonRetryableError"
