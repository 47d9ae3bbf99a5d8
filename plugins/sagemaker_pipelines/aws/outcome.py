"""Judge a pipeline execution: it succeeded, was rejected at its gate, or failed, and why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError

from sagemaker_pipelines.aws.client import SageMakerClient
from sagemaker_pipelines.aws.steps import MAX_REASON, Step, failed_steps
from sagemaker_pipelines.definition import gate_of
from sagemaker_pipelines.exceptions import (
    DefinitionError,
    ExecutionFailedError,
    ExecutionRunningError,
    ExecutionStoppedError,
    FailureCause,
)
from sagemaker_pipelines.messages import cut
from sagemaker_pipelines.states import COMPLETED_WITH_FAILURES, FAILED, Phase, execution_phase

# Limits for the description of a failure, which goes into XCom, the task's log and notifications.
LOG_TAIL_LINES = 20
MAX_LOG_LINE = 500
MAX_LOGS = 10
NO_REASON = "AWS gives no reason"
MAX_LATER_REASON = 500


@dataclass(frozen=True, kw_only=True)
class ExecutionOutcome:
    """How an execution ended, if it did not fail.

    :param pipeline_execution_arn: the execution.
    :param status: its PipelineExecutionStatus, as AWS writes it.
    :param rejected: whether its gate rejected the model: only rejection steps have failed.
    :param cause: the Fail step that rejected it, and its message.
    """

    pipeline_execution_arn: str
    status: str
    rejected: bool = False
    cause: FailureCause | None = None


def execution_outcome(
    client: SageMakerClient,
    pipeline_execution_arn: str,
    *,
    rejection_steps: Iterable[str] | None = None,
    tolerated_failures: Iterable[str] | None = None,
) -> ExecutionOutcome:
    """Judge an execution that has ended.

    It was rejected if its status is Failed and every Failed step is a Fail step that counts as a rejection
    step.

    :param client: calls AWS.
    :param pipeline_execution_arn: the execution.
    :param rejection_steps: names of the Fail steps that reject a model; None means those of the gate
        in the execution's own definition.
    :param tolerated_failures: names of steps that may fail without failing the execution, if SageMaker itself
        went on after them (``CompletedWithFailures``).
    :return: the outcome of an execution that succeeded or was rejected, or whose failures are tolerated.
    :raises ExecutionFailedError: it failed for another reason; the message names step, reason and log.
    :raises ExecutionStoppedError: it was stopped.
    :raises ExecutionRunningError: it has not ended.
    :raises UnknownStatusError: AWS returned a status that is not in the table.
    """
    description = client.describe_execution(pipeline_execution_arn)
    status = description["PipelineExecutionStatus"]
    phase = execution_phase(status)
    if phase is Phase.RUNNING:
        raise ExecutionRunningError(pipeline_execution_arn, status)
    if phase is Phase.SUCCEEDED:
        return ExecutionOutcome(pipeline_execution_arn=pipeline_execution_arn, status=status)
    if phase is Phase.STOPPED:
        raise ExecutionStoppedError(pipeline_execution_arn, status)
    failed = failed_steps(client.list_steps(pipeline_execution_arn))
    if (
        status == COMPLETED_WITH_FAILURES
        and failed
        and {s.name for s in failed} <= set(tolerated_failures or ())
    ):
        return ExecutionOutcome(pipeline_execution_arn=pipeline_execution_arn, status=status)
    if status == FAILED and _is_rejection(client, pipeline_execution_arn, failed, rejection_steps):
        return ExecutionOutcome(
            pipeline_execution_arn=pipeline_execution_arn,
            status=status,
            rejected=True,
            cause=failure_cause(client, failed[0]),
        )
    raise ExecutionFailedError(
        pipeline_execution_arn,
        status,
        cut(description.get("FailureReason") or "", MAX_REASON) or None,
        [failure_cause(client, step) for step in failed[:MAX_LOGS]]
        + [failure_cause(client, step, in_full=False) for step in failed[MAX_LOGS:]],
    )


def failure_cause(client: SageMakerClient, step: Step, *, in_full: bool = True) -> FailureCause:
    """Return why a step failed and where its log is, with the last lines of the log if they can be read.

    :param client: calls AWS.
    :param step: the step.
    :param in_full: False leaves out the log and shortens the reason, default True.
    """
    log_stream: str | None = None
    tail: tuple[str, ...] = ()
    if step.log_group and step.job_name and in_full:
        log_stream, tail = _log_tail(client, step.log_group, step)
    return FailureCause(
        step_name=step.name,
        reason=cut(step.reason or NO_REASON, MAX_REASON if in_full else MAX_LATER_REASON),
        is_fail_step=step.is_fail_step,
        job_arn=step.arn,
        log_group=step.log_group,
        log_stream=log_stream,
        log_tail=tail,
    )


def _is_rejection(
    client: SageMakerClient,
    pipeline_execution_arn: str,
    failed: Sequence[Step],
    rejection_steps: Iterable[str] | None,
) -> bool:
    if not failed or not all(step.is_fail_step for step in failed):
        return False
    if rejection_steps is None:
        try:
            rejection_steps = gate_of(client.execution_definition(pipeline_execution_arn)).rejection_steps
        except DefinitionError as error:
            client.log.info("The execution has no gate that could have rejected the model: %s", error)
            return False
    return {step.name for step in failed} <= set(rejection_steps)


def _log_tail(client: SageMakerClient, group: str, step: Step) -> tuple[str | None, tuple[str, ...]]:
    """Return the newest log stream of a step's job and its last lines.

    If the log cannot be read, this only logs a warning: the failure itself matters more.
    """
    try:
        streams = client.logs.describe_log_streams(logGroupName=group, **step.log_stream_filter)
        newest = max(
            streams["logStreams"], key=lambda stream: stream.get("lastEventTimestamp", 0), default=None
        )
        if newest is None:
            return None, ()
        events = client.logs.get_log_events(
            logGroupName=group,
            logStreamName=newest["logStreamName"],
            limit=LOG_TAIL_LINES,
            startFromHead=False,
        )
    except (ClientError, BotoCoreError) as error:
        client.log.warning("Cannot read the log of %s in %s: %s", step.job_name, group, error)
        return None, ()
    return newest["logStreamName"], tuple(
        cut(event["message"].rstrip(), MAX_LOG_LINE) for event in events["events"]
    )
