"""Wait for an execution: the single implementation behind the sensor and the start operator."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException
from airflow.sdk.exceptions import AirflowSensorTimeout

from sagemaker_pipelines import measures
from sagemaker_pipelines.aws.errors import is_transient
from sagemaker_pipelines.aws.outcome import ExecutionOutcome, execution_outcome
from sagemaker_pipelines.aws.steps import Step
from sagemaker_pipelines.aws.stopping import stop_execution
from sagemaker_pipelines.aws.watch import ExecutionWatch
from sagemaker_pipelines.exceptions import (
    ExecutionError,
    ExecutionFailedError,
    ExecutionStoppedError,
    SageMakerPipelinesError,
    UnknownStatusError,
)
from sagemaker_pipelines.links.pipeline import SageMakerFailedStepLogLink, SageMakerPipelineExecutionLink
from sagemaker_pipelines.states import is_end
from sagemaker_pipelines.task.bounding import BoundMixin, outcome_of_stop, too_much
from sagemaker_pipelines.task.publishing import ExecutionRecordMixin
from sagemaker_pipelines.task.records import WaitRecord, Witness
from sagemaker_pipelines.task.resuming import resume_if_needed
from sagemaker_pipelines.triggers.pipeline import SageMakerPipelineExecutionTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context

#: XCom key of the ARN, as soon as it is known.
XCOM_EXECUTION_ARN = "pipeline_execution_arn"


class ExecutionWaitMixin(ExecutionRecordMixin, BoundMixin):
    """Let a task wait for an execution, in synchronous or deferrable mode.

    It is mixed into operators, which already have ``hook`` and the connection's arguments.

    :param rejection_steps: see the sensor.
    :param tolerated_failures: see the sensor.
    :param stop_on_kill: see the sensor.
    :param resume_on_retry: see the sensor.
    :param max_instance_seconds: see the sensor.
    :param max_cost: see the sensor.
    """

    if TYPE_CHECKING:
        aws_conn_id: str | None
        region_name: str | None
        verify: bool | str | None
        botocore_config: dict[str, Any] | None
        rejection_steps: Iterable[str] | None
        tolerated_failures: Iterable[str] | None
        resume_on_retry: bool | str

        def defer(self, **kwargs: Any) -> Any: ...

    def begin_wait(self, context: Context, pipeline_execution_arn: str, *, is_retry: bool = False) -> None:
        """Publish the execution to downstream tasks and the UI, and resume it if this is a retry.

        :param pipeline_execution_arn: the execution.
        :param is_retry: whether an earlier attempt already had it, even if that could not leave a record.
        """
        self.prepare_kill()
        self._watched_arn = pipeline_execution_arn
        self.end_if_killed()
        context["ti"].xcom_push(key=XCOM_EXECUTION_ARN, value=pipeline_execution_arn)
        SageMakerPipelineExecutionLink.store(context, self, self.pipeline_hook, pipeline_execution_arn)  # type: ignore[arg-type]
        record = WaitRecord.load(context)
        if record is None or record.pipeline_execution_arn != pipeline_execution_arn:
            record = WaitRecord(pipeline_execution_arn=pipeline_execution_arn, witness=Witness.of(context))
            record.save(context)
        else:
            is_retry = True
        if is_retry and is_set(self.resume_on_retry):
            record = resume_if_needed(
                context,
                self.client,
                record,
                rejection_steps=self.rejection_steps,
                stop_on_kill=self.stop_on_kill,
                before_call=partial(self.before_resume, record),
                log=self.log,
            )
            self.end_if_killed()
        self.earlier = record.earlier

    def wait(
        self, context: Context, pipeline_execution_arn: str, *, waiter_delay: float, timeout: float
    ) -> None:
        """Wait in the worker until the execution has ended, and judge it.

        :param waiter_delay: the longest time between two polls, seconds.
        :param timeout: how long to wait at most, seconds.
        """
        watch = ExecutionWatch(self.client, pipeline_execution_arn, waiter_delay=waiter_delay, log=self.log)
        deadline = time.monotonic() + timeout
        while watch.look() is None:
            self.end_if_too_much(context, pipeline_execution_arn, watch.steps)
            if time.monotonic() >= deadline:
                self.stop_for_timeout(pipeline_execution_arn)
                self.publish(context, pipeline_execution_arn)
                raise timed_out(pipeline_execution_arn)
            time.sleep(max(0.0, min(watch.delay(), deadline - time.monotonic())))
        self.judge(context, pipeline_execution_arn)

    def defer_wait(self, pipeline_execution_arn: str, *, waiter_delay: float, timeout: float) -> None:
        """Hand the wait to the triggerer; the task continues in :meth:`execute_complete`.

        If the execution has already ended, it returns without deferring.

        :param waiter_delay: the longest time between two polls, seconds.
        :param timeout: how long to wait at most, seconds. The trigger enforces it, because Airflow's own
            ``defer(timeout=)`` would end the wait without the trigger's knowledge.
        """
        # A trigger that fires immediately may be faster than the news of the deferral. Airflow's scheduler
        # then assumes that the task is lost, and fails it.
        if self._has_ended(pipeline_execution_arn):
            return
        self.hand_over()
        self.defer(
            trigger=SageMakerPipelineExecutionTrigger(
                pipeline_execution_arn=pipeline_execution_arn,
                waiter_delay=waiter_delay,
                deadline=time.time() + timeout,
                stop_on_kill=self.stop_on_kill,
                **asdict(self.bounds()),
                earlier={step: dict(jobs) for step, jobs in self.earlier.items()},
                aws_conn_id=self.aws_conn_id,
                region_name=self.region_name,
                verify=self.verify,
                botocore_config=self.botocore_config,
            ),
            method_name="execute_complete",
        )

    def _has_ended(self, pipeline_execution_arn: str) -> bool:
        try:
            status = self.client.execution_status(pipeline_execution_arn)
        except Exception as error:
            # The trigger will ask again.
            if not is_transient(error):
                raise
            return False
        return is_end(status)

    def execute_complete(self, context: Context, event: Mapping[str, Any] | None = None) -> Any:
        """Continue after the trigger has fired, and return the execution's ARN.

        :param event: the trigger's payload.
        """
        if not event or "pipeline_execution_arn" not in event:
            raise AirflowException(
                f"The trigger's event is {event!r}; expected pipeline_execution_arn in it. Clear the task, "
                "so that it waits again."
            )
        arn = event["pipeline_execution_arn"]
        if event["event"] == "error":
            raise AirflowException(f"{arn} could not be watched: {event['message']}")
        if event["event"] == "timeout":
            measures.wait_ended(arn, "timed_out")
            self.publish(context, arn)
            raise timed_out(arn)
        if event["event"] == "too_much":
            measures.wait_ended(arn, "too_much")
            self.publish(context, arn)
            raise too_much(arn, event["message"], outcome_of_stop(event["status"] is not None))
        self.judge(context, arn)
        return arn

    def judge(self, context: Context, pipeline_execution_arn: str) -> None:
        """Return if an execution has ended well, or raise with the cause; either way, publish its record.

        A failure that a retry cannot change fails the task without a retry.
        """
        try:
            outcome = execution_outcome(
                self.client,
                pipeline_execution_arn,
                rejection_steps=self.rejection_steps,
                tolerated_failures=self.tolerated_failures,
            )
        except ExecutionError as error:
            measures.wait_ended(pipeline_execution_arn, error.status)
            self._report_failure(context, error)
            if _is_final(error):
                raise AirflowFailException(str(error)) from error
            raise
        except UnknownStatusError as error:
            raise AirflowFailException(f"{pipeline_execution_arn}: {error}") from error
        measures.wait_ended(pipeline_execution_arn, "rejected" if outcome.rejected else outcome.status)
        self.publish(context, pipeline_execution_arn, rejected=outcome.rejected, cause=outcome.cause)
        self._log_outcome(outcome)

    def stop_for_timeout(self, pipeline_execution_arn: str) -> None:
        """Stop an execution that nobody will watch any more."""
        measures.wait_ended(pipeline_execution_arn, "timed_out")
        if self.stop_on_kill:
            stop_execution(self.client.sagemaker, pipeline_execution_arn, seconds=30, log=self.log)

    def end_if_too_much(self, context: Context, pipeline_execution_arn: str, steps: Iterable[Step]) -> None:
        """Stop an execution that has passed a bound, and fail the task without a retry.

        :raises AirflowFailException: it has; the message has both figures.
        """
        if excess := self.excess(pipeline_execution_arn, steps):
            stopped = stop_execution(self.client.sagemaker, pipeline_execution_arn, seconds=30, log=self.log)
            measures.wait_ended(pipeline_execution_arn, "too_much")
            self.publish(context, pipeline_execution_arn)
            raise too_much(pipeline_execution_arn, excess, outcome_of_stop(stopped))

    def _report_failure(self, context: Context, error: ExecutionError) -> None:
        self._remember(context, error)
        cause = error.first_cause
        if cause is not None:
            SageMakerFailedStepLogLink.store(context, self, self.pipeline_hook, cause)  # type: ignore[arg-type]
        self.publish(context, error.pipeline_execution_arn, cause=cause)

    def _remember(self, context: Context, error: ExecutionError) -> None:
        """Record for the next attempt that this one saw the end, unless our own kill caused that end."""
        record = WaitRecord.load(context)
        if record is not None and not self._was_killed:
            stopped = isinstance(error, ExecutionStoppedError)
            record.save(context, seen="stopped" if stopped else "failed")

    def _log_outcome(self, outcome: ExecutionOutcome) -> None:
        if outcome.cause is not None:
            self.log.warning(
                "%s was rejected by step %s: %s",
                outcome.pipeline_execution_arn,
                outcome.cause.step_name,
                outcome.cause.reason,
            )
        else:
            self.log.info("%s ended as %s", outcome.pipeline_execution_arn, outcome.status)


def is_set(value: bool | str) -> bool:
    """Return whether a flag is set; a template renders it to a string.

    :raises ValueError: the value is not a boolean.
    """
    text = str(value).strip().lower()
    if text not in {"true", "false"}:
        raise ValueError(
            f"{value!r} is not a boolean; expected True or False. Correct it, or the template that gives it."
        )
    return text == "true"


def timed_out(pipeline_execution_arn: str) -> AirflowSensorTimeout:
    """Return the error of a wait that took too long; Airflow does not retry it."""
    return AirflowSensorTimeout(
        f"{pipeline_execution_arn} has not ended within the timeout of this task. Set a longer timeout, or "
        "check what the execution is waiting for."
    )


def _is_final(error: SageMakerPipelinesError) -> bool:
    if isinstance(error, ExecutionStoppedError):
        return True
    return isinstance(error, ExecutionFailedError) and not error.can_be_retried
