"""Judge a pipeline execution: succeeded, rejected at its gate, or failed and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from sagemaker_pipelines.definition import gate_of
from sagemaker_pipelines.exceptions import (
    DefinitionError,
    ExecutionFailedError,
    ExecutionRunningError,
    ExecutionStoppedError,
    FailureCause,
)
from sagemaker_pipelines.messages import cut
from sagemaker_pipelines.reading import parse_json
from sagemaker_pipelines.states import Phase, execution_phase, step_phase

if TYPE_CHECKING:
    from sagemaker_pipelines.hooks.pipeline import SageMakerPipelineHook

# Bounds of what a failure tells: it goes into XCom, the task's log and messages to people.
LOG_TAIL_LINES = 20
MAX_LOG_LINE = 500
MAX_LOGS = 10
MAX_REASON = 3072
MAX_LATER_REASON = 500
# https://docs.aws.amazon.com/sagemaker/latest/dg/logging-cloudwatch.html
_LOG_GROUPS = {
    "ProcessingJob": "/aws/sagemaker/ProcessingJobs",
    "TrainingJob": "/aws/sagemaker/TrainingJobs",
    "TransformJob": "/aws/sagemaker/TransformJobs",
}


@dataclass(frozen=True, kw_only=True)
class ExecutionOutcome:
    """How an execution ended, where that is no failure; what the wait hands downstream.

    :param pipeline_execution_arn: the execution.
    :param status: its PipelineExecutionStatus, as AWS writes it.
    :param rejected: whether its gate rejected the model: it Failed in rejection steps only.
    :param rejection_step: the Fail step that rejected it.
    :param rejection_message: that step's message.
    :param steps: of each step: name, status, seconds, and whether it was a cache hit.
    """

    pipeline_execution_arn: str
    status: str
    rejected: bool = False
    rejection_step: str | None = None
    rejection_message: str | None = None
    steps: list[dict[str, Any]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON types, for XCom."""
        return asdict(self)


def conclude(
    hook: SageMakerPipelineHook, pipeline_execution_arn: str, *, rejection_steps: Iterable[str] | None = None
) -> ExecutionOutcome:
    """Judge an execution that has ended.

    Rejected means: its status is Failed, and every Failed step is a Fail step named as a rejection step.

    :param hook: what to ask AWS with.
    :param pipeline_execution_arn: the execution.
    :param rejection_steps: names of the Fail steps that reject a model; None takes the Fail steps in the
        ElseSteps of the gate in the execution's own definition.
    :return: the outcome of an execution that succeeded or was rejected.
    :raises ExecutionFailedError: it failed otherwise; the message names step, reason and log.
    :raises ExecutionStoppedError: it was stopped.
    :raises ExecutionRunningError: it has not ended.
    :raises UnknownStatusError: AWS gave a status that is not in the table.
    """
    description = hook.describe_execution(pipeline_execution_arn)
    status = description["PipelineExecutionStatus"]
    phase = execution_phase(status)
    if phase is Phase.RUNNING:
        raise ExecutionRunningError(pipeline_execution_arn, status)
    steps = hook.list_steps(pipeline_execution_arn)
    summaries = [_summary(step) for step in steps]
    if phase is Phase.SUCCEEDED:
        return ExecutionOutcome(pipeline_execution_arn=pipeline_execution_arn, status=status, steps=summaries)
    if phase is Phase.STOPPED:
        raise ExecutionStoppedError(pipeline_execution_arn, status)
    failed = failed_steps(steps)
    if status == "Failed" and _is_rejection(hook, pipeline_execution_arn, failed, rejection_steps):
        return ExecutionOutcome(
            pipeline_execution_arn=pipeline_execution_arn,
            status=status,
            rejected=True,
            rejection_step=failed[0]["StepName"],
            rejection_message=cut(_reason(failed[0]), MAX_REASON),
            steps=summaries,
        )
    raise ExecutionFailedError(
        pipeline_execution_arn,
        status,
        cut(description.get("FailureReason") or "", MAX_REASON) or None,
        [failure_cause(hook, step) for step in failed[:MAX_LOGS]]
        + [failure_cause(hook, step, in_full=False) for step in failed[MAX_LOGS:]],
    )


def failed_steps(steps: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the failed steps, the one that ended first coming first: later ones often follow from it."""
    failed = [step for step in steps if step_phase(step["StepStatus"]) is Phase.FAILED]
    return sorted(failed, key=lambda step: (step.get("EndTime") is None, step.get("EndTime")))


def failure_cause(
    hook: SageMakerPipelineHook, step: Mapping[str, Any], *, in_full: bool = True
) -> FailureCause:
    """Return why a step failed and where its log is, with the log's last lines where they can be read.

    :param hook: what to ask AWS with.
    :param step: as ListPipelineExecutionSteps gives it.
    :param in_full: False leaves the log out and shortens the reason, default True.
    """
    kind, arn = _job(step)
    log_group = _LOG_GROUPS.get(kind or "")
    log_stream: str | None = None
    tail: tuple[str, ...] = ()
    if log_group and arn and in_full:
        log_stream, tail = _log_tail(hook, log_group, arn.rsplit("/", 1)[-1])
    return FailureCause(
        step_name=step["StepName"],
        reason=cut(_reason(step), MAX_REASON if in_full else MAX_LATER_REASON),
        is_fail_step="Fail" in step.get("Metadata", {}),
        job_arn=arn,
        log_group=log_group,
        log_stream=log_stream,
        log_tail=tail,
    )


def log_of(step: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the log group of a step's job, and the job's name, with which its streams begin.

    :param step: as ListPipelineExecutionSteps gives it.
    """
    kind, arn = _job(step)
    group = _LOG_GROUPS.get(kind or "")
    return (group, arn.rpartition("/")[2]) if group and arn else None


def _is_rejection(
    hook: SageMakerPipelineHook,
    pipeline_execution_arn: str,
    failed: Sequence[Mapping[str, Any]],
    rejection_steps: Iterable[str] | None,
) -> bool:
    if not failed or not all("Fail" in step.get("Metadata", {}) for step in failed):
        return False
    if rejection_steps is None:
        try:
            rejection_steps = gate_of(hook.execution_definition(pipeline_execution_arn)).rejection_steps
        except DefinitionError as error:
            hook.log.info("The execution has no gate that could have rejected: %s", error)
            return False
    return {step["StepName"] for step in failed} <= set(rejection_steps)


def _reason(step: Mapping[str, Any]) -> str:
    fail_message = step.get("Metadata", {}).get("Fail", {}).get("ErrorMessage")
    return str(fail_message or step.get("FailureReason") or "AWS gives no reason")


def _job(step: Mapping[str, Any]) -> tuple[str | None, str | None]:
    for kind, metadata in step.get("Metadata", {}).items():
        if isinstance(metadata, Mapping) and metadata.get("Arn"):
            return kind, metadata["Arn"]
    return None, None


def _log_tail(hook: SageMakerPipelineHook, group: str, job_name: str) -> tuple[str | None, tuple[str, ...]]:
    """Return the newest log stream of a job and its last lines; the failure matters more than its log."""
    try:
        streams = hook.logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{job_name}/")
        newest = max(
            streams["logStreams"], key=lambda stream: stream.get("lastEventTimestamp", 0), default=None
        )
        if newest is None:
            return None, ()
        events = hook.logs.get_log_events(
            logGroupName=group,
            logStreamName=newest["logStreamName"],
            limit=LOG_TAIL_LINES,
            startFromHead=False,
        )
    except (ClientError, BotoCoreError) as error:
        hook.log.warning("Cannot read the log of %s in %s: %s", job_name, group, error)
        return None, ()
    return newest["logStreamName"], tuple(
        cut(event["message"].rstrip(), MAX_LOG_LINE) for event in events["events"]
    )


def _summary(step: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": step["StepName"],
        "status": step["StepStatus"],
        "seconds": step_seconds(step),
        "cache_hit": "CacheHitResult" in step,
    }


def step_seconds(step: Mapping[str, Any]) -> float | None:
    """Return how long a step took; None while it runs or where AWS gives no times."""
    start, end = step.get("StartTime"), step.get("EndTime")
    if not isinstance(start, datetime) or not isinstance(end, datetime):
        return None
    return round((end - start).total_seconds(), 3)


def parse_definition(text: str) -> dict[str, Any]:
    """Return a definition as AWS holds it.

    :raises DefinitionError: it is no JSON object.
    """
    try:
        definition = parse_json(text)
    except ValueError as error:
        raise DefinitionError(
            f"The deployed definition is not JSON: {error}. Upsert the pipeline again."
        ) from error
    if not isinstance(definition, dict):
        raise DefinitionError("The deployed definition is not a JSON object. Upsert the pipeline again.")
    return definition
