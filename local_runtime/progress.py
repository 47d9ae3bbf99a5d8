"""Follow an execution and report its end: steps with status and seconds, causes, metric and threshold."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from local_runtime.deployment import Target
from sagemaker_pipelines.definition import Gate, gate_of
from sagemaker_pipelines.definition.json_path import value_at
from sagemaker_pipelines.definition.parameters import Parameter
from sagemaker_pipelines.exceptions import GateError
from sagemaker_pipelines.states import Phase, execution_phase, step_phase

_POLL_SECONDS = 0.1
# The key of the step's metadata that names a job, and the log group of that kind of job.
_LOG_GROUPS = {
    "ProcessingJob": "/aws/sagemaker/ProcessingJobs",
    "TrainingJob": "/aws/sagemaker/TrainingJobs",
    "TransformJob": "/aws/sagemaker/TransformJobs",
}


@dataclass(frozen=True, kw_only=True)
class StepState:
    """The state of one step.

    :param name: its name.
    :param status: its status.
    :param seconds: how long it has been running, or ran.
    :param failure_reason: why it failed.
    :param metadata: its ``Metadata``.
    """

    name: str
    status: str
    seconds: float
    failure_reason: str | None
    metadata: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The gate's comparison in one execution."""

    metric: float
    operator: str
    threshold: float
    passed: bool


def steps_of(sagemaker: Any, arn: str) -> list[StepState]:
    """Return the steps that have started, in the order in which they started."""
    now = datetime.now(UTC)
    pages = sagemaker.get_paginator("list_pipeline_execution_steps").paginate(
        PipelineExecutionArn=arn, SortOrder="Ascending"
    )
    return [
        StepState(
            name=step["StepName"],
            status=step["StepStatus"],
            seconds=(step.get("EndTime", now) - step["StartTime"]).total_seconds(),
            failure_reason=step.get("FailureReason"),
            metadata=step.get("Metadata", {}),
        )
        for page in pages
        for step in page["PipelineExecutionSteps"]
    ]


def follow(sagemaker: Any, arn: str, on_change: Callable[[list[StepState]], None]) -> str:
    """Wait until an execution has ended and return its status.

    :param sagemaker: a boto3 client.
    :param arn: the execution.
    :param on_change: called with the current steps at every poll.
    """
    while True:
        # The status is read before the steps, since no step changes after the end of the execution.
        execution = sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
        on_change(steps_of(sagemaker, arn))
        status = str(execution["PipelineExecutionStatus"])
        if execution_phase(status).is_terminal:
            return status
        time.sleep(_POLL_SECONDS)


def failure_of(step: StepState) -> str:
    """Return why a step failed: a Fail step's message, or its failure reason."""
    message = (step.metadata.get("Fail") or {}).get("ErrorMessage")
    return str(message or step.failure_reason or "no reason was given")


def log_tail(logs: Any, step: StepState, *, lines: int = 15) -> list[str]:
    """Return the last lines of a step's job; an empty list if it has no job or no output."""
    for kind, group in _LOG_GROUPS.items():
        arn = (step.metadata.get(kind) or {}).get("Arn")
        if arn:
            return _tail(logs, group, str(arn).rpartition("/")[2], lines)
    return []


def _tail(logs: Any, group: str, job: str, lines: int) -> list[str]:
    try:
        streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=job)["logStreams"]
    except logs.exceptions.ResourceNotFoundException:
        return []
    found: list[str] = []
    for stream in streams:
        events = logs.get_log_events(
            logGroupName=group, logStreamName=stream["logStreamName"], limit=lines, startFromHead=False
        )["events"]
        found += [str(event["message"]) for event in events]
    return found[-lines:]


def verdict_of(target: Target, arn: str, definition: Mapping[str, Any]) -> Verdict | None:
    """Compare an execution's metric with its threshold, as the gate of the definition does.

    :param definition: the definition, filled or not.
    :return: None if the definition has no gate, or the execution did not reach its report.
    """
    try:
        gate = gate_of(definition)
    except GateError:
        return None
    sagemaker = target.client("sagemaker")
    report = next((step for step in steps_of(sagemaker, arn) if step.name == gate.report_step), None)
    if report is None or step_phase(report.status) is not Phase.SUCCEEDED:
        return None
    metric = (
        _training_metric(sagemaker, report, gate) if gate.metric_name else _reported(target, report, gate)
    )
    if metric is None:
        return None
    threshold = _threshold(sagemaker, arn, gate.threshold)
    passed = gate.passes(metric, threshold)
    return Verdict(metric=metric, operator=gate.operator, threshold=threshold, passed=passed)


def _training_metric(sagemaker: Any, step: StepState, gate: Gate) -> float | None:
    name = str(step.metadata["TrainingJob"]["Arn"]).rpartition("/")[2]
    job = sagemaker.describe_training_job(TrainingJobName=name)
    metrics = {item["MetricName"]: item["Value"] for item in job.get("FinalMetricDataList", ())}
    return metrics.get(gate.metric_name)


def _reported(target: Target, step: StepState, gate: Gate) -> float:
    job = target.client("sagemaker").describe_processing_job(
        ProcessingJobName=str(step.metadata["ProcessingJob"]["Arn"]).rpartition("/")[2]
    )
    outputs = {output["OutputName"]: output for output in job["ProcessingOutputConfig"]["Outputs"]}
    prefix = str(outputs[gate.output_name]["S3Output"]["S3Uri"]).rstrip("/")
    bucket, _, key = f"{prefix}/{gate.file_path}".removeprefix("s3://").partition("/")
    document = json.load(target.client("s3").get_object(Bucket=bucket, Key=key)["Body"])
    return float(value_at(document, gate.json_path))


def _threshold(sagemaker: Any, arn: str, threshold: Parameter | float) -> float:
    """Return the threshold that this execution ran with."""
    if not isinstance(threshold, Parameter):
        return threshold
    pages = sagemaker.get_paginator("list_pipeline_parameters_for_execution").paginate(
        PipelineExecutionArn=arn
    )
    values = {item["Name"]: item["Value"] for page in pages for item in page["PipelineParameters"]}
    return float(values[threshold.name])
