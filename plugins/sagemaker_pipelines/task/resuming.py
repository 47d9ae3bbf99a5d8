"""Resume an execution that an earlier attempt of the same task watched."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from sagemaker_pipelines import measures
from sagemaker_pipelines.aws.errors import code_of
from sagemaker_pipelines.aws.outcome import execution_outcome
from sagemaker_pipelines.aws.watch import ExecutionWatch
from sagemaker_pipelines.exceptions import ExecutionFailedError, SageMakerPipelinesError
from sagemaker_pipelines.states import EXECUTING, STOPPING, Phase, execution_phase
from sagemaker_pipelines.task.logical_start import LogicalStart
from sagemaker_pipelines.task.records import WaitRecord, Witness

if TYPE_CHECKING:
    from airflow.sdk import Context

    from sagemaker_pipelines.airflow_internals import Logger
    from sagemaker_pipelines.aws.client import SageMakerClient

# How long the execution of a killed attempt may take from Stopping to Stopped: a training job saves its
# checkpoint.
STOPPING_SECONDS = 900.0
# How long an earlier attempt that never saw an end may still be alive and stop the execution while the next
# attempt is already running. After a clear, Airflow notifies a deferred task's trigger 1 to 3 s later. A
# scheduler that takes over from a dead one immediately starts another attempt of its running tasks; the old
# attempt learns of it at its next heartbeat (`[workers] min_heartbeat_interval`, 5 s), and is killed then.
KILL_SECONDS = 30.0


def resume_if_needed(
    context: Context,
    client: SageMakerClient,
    record: WaitRecord,
    *,
    rejection_steps: Iterable[str] | None,
    stop_on_kill: bool,
    before_call: Callable[[], dict[str, dict[str, float]]],
    log: Logger,
) -> WaitRecord:
    """Call RetryPipelineExecution if a later attempt finds its execution failed or stopped by our own kill.

    A rejection, a Fail step and an execution that somebody else stopped are left as they are, except that a
    user's clear of this task resumes an execution that was stopped.

    :param record: what the earlier attempt left.
    :param rejection_steps: see the sensor.
    :param stop_on_kill: see the sensor.
    :param before_call: called before the execution is resumed; it may prevent that by raising, and returns
        what the jobs have billed so far.
    :return: the record as it is stored now.
    """
    arn, witness = record.pipeline_execution_arn, Witness.of(context)
    kill_may_come = stop_on_kill and record.seen == "watching"
    phase = execution_phase(settled_status(client, arn, log, patience=KILL_SECONDS if kill_may_come else 0))
    # Only a clear of this very task raises its max_tries; a clear that kills a running attempt leaves
    # "watching".
    cleared = witness.max_tries != record.witness.max_tries
    stopped = phase is Phase.STOPPED and (record.seen == "watching" or cleared)
    if stopped or (phase is Phase.FAILED and _may_help(client, arn, rejection_steps)):
        earlier = before_call()
        # The new witness is stored with the resume, not before it: if this attempt is killed in between, the
        # next one still sees the clear.
        return _resume(context, client, replace(record, witness=witness, earlier=earlier), log)
    return record.save(context, witness=witness)


def settled_status(client: SageMakerClient, arn: str, log: Logger, *, patience: float = 0) -> str:
    """Return the status, after waiting for a stop that may still arrive and for the end of Stopping.

    :param patience: how long to wait for a stop to arrive, seconds.
    """
    watch = ExecutionWatch(client, arn, waiter_delay=5, log=log)
    began = time.monotonic()
    while True:
        ended = watch.look()
        if ended is not None:
            return ended
        limit = STOPPING_SECONDS if watch.status == STOPPING else patience
        if time.monotonic() - began >= limit:
            return watch.status or EXECUTING
        time.sleep(min(watch.delay(), 1.0))


def _may_help(client: SageMakerClient, arn: str, rejection_steps: Iterable[str] | None) -> bool:
    try:
        execution_outcome(client, arn, rejection_steps=rejection_steps)
    except ExecutionFailedError as error:
        return error.can_be_retried
    except SageMakerPipelinesError:
        return False
    return False


def _resume(context: Context, client: SageMakerClient, record: WaitRecord, log: Logger) -> WaitRecord:
    arn = record.pipeline_execution_arn
    # Stored before the call: if this attempt is killed in between, the next one sends the same token again.
    record = record.next_resume().save(context, seen="watching")
    # An earlier version of this package stored only the number.
    token = record.resume_token or hashlib.sha256(f"{arn}#{record.resumes}".encode()).hexdigest()
    log.info("Resuming %s (resume %s); the steps that succeeded are kept", arn, record.resumes)
    resume_execution(client, arn, token=token, description=_new_owner(context, client, arn))
    return record.save(context, resume_delivered=True)


def resume_execution(client: SageMakerClient, arn: str, *, token: str, description: str | None) -> None:
    """Resume an execution; do nothing if it is already running.

    :param token: the ClientRequestToken.
    :param description: names the owner of the execution from now on; None leaves the owner as it is.
    """
    # This comes first, so that the orphan sweep never sees it running under the run that gave it up.
    client.describe_owner(arn, description)
    try:
        client.retry_execution(arn, token=token)
        measures.count("resumes", arn)
    except ClientError as error:
        # Another attempt, or a user in SageMaker, was faster.
        if code_of(error) not in {"ConflictException", "ValidationException"}:
            raise
        if client.execution_status(arn) != EXECUTING:
            raise


def _new_owner(context: Context, client: SageMakerClient, arn: str) -> str | None:
    """Return the description that makes this task the execution's owner; None if its run already is.

    The generation stays the same, because the start that began the execution finds it by that.
    """
    own = LogicalStart.new(context)
    known = LogicalStart.parse(client.describe_execution(arn).get("PipelineExecutionDescription"))
    if known is None:
        return own.description
    if (known.dag_id, known.run_id) == (own.dag_id, own.run_id):
        return None
    return replace(own, generation=known.generation).description
