"""Wait for an execution: the one implementation behind the sensor and the start operator."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException
from airflow.sdk.exceptions import AirflowSensorTimeout

from sagemaker_pipelines.exceptions import (
    ExecutionError,
    ExecutionFailedError,
    ExecutionStoppedError,
    SageMakerPipelinesError,
    UnknownStatusError,
)
from sagemaker_pipelines.hooks.execution import ExecutionOutcome
from sagemaker_pipelines.hooks.pipeline import SageMakerPipelineHook
from sagemaker_pipelines.hooks.watch import ExecutionWatch
from sagemaker_pipelines.links.pipeline import SageMakerFailedStepLogLink, SageMakerPipelineExecutionLink
from sagemaker_pipelines.triggers.pipeline import SageMakerPipelineExecutionTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.types import Logger

#: XCom keys, besides the task's return value.
XCOM_EXECUTION_ARN = "pipeline_execution_arn"
XCOM_FAILURE = "failure"


class ExecutionWaitMixin:
    """What a task does that waits for an execution, in synchronous and deferrable mode.

    It is mixed into operators; they have ``hook`` and the connection's arguments already.
    """

    if TYPE_CHECKING:

        @property
        def log(self) -> Logger: ...

        aws_conn_id: str | None
        region_name: str | None
        verify: bool | str | None
        botocore_config: dict[str, Any] | None
        rejection_steps: Iterable[str] | None

        def defer(self, **kwargs: Any) -> Any: ...

    @property
    def pipeline_hook(self) -> SageMakerPipelineHook:
        """The operator's hook, by its own type."""
        hook: SageMakerPipelineHook = self.hook  # type: ignore[attr-defined]
        return hook

    def begin_wait(self, context: Context, pipeline_execution_arn: str) -> None:
        """Tell downstream tasks and the UI about the execution, before anything else can go wrong."""
        context["ti"].xcom_push(key=XCOM_EXECUTION_ARN, value=pipeline_execution_arn)
        SageMakerPipelineExecutionLink.store(context, self, self.pipeline_hook, pipeline_execution_arn)  # type: ignore[arg-type]

    def wait(
        self, context: Context, pipeline_execution_arn: str, *, waiter_delay: float, timeout: float
    ) -> dict[str, Any]:
        """Hold the worker until the execution has ended, and judge it.

        :param waiter_delay: the longest time between two looks, seconds.
        :param timeout: how long to wait at most, seconds.
        """
        watch = ExecutionWatch(
            self.pipeline_hook, pipeline_execution_arn, waiter_delay=waiter_delay, log=self.log
        )
        deadline = time.monotonic() + timeout
        while watch.look() is None:
            if time.monotonic() >= deadline:
                raise _timed_out(pipeline_execution_arn)
            time.sleep(max(0.0, min(watch.delay(), deadline - time.monotonic())))
        return self.judge(context, pipeline_execution_arn)

    def defer_wait(self, pipeline_execution_arn: str, *, waiter_delay: float, timeout: float) -> None:
        """Hand the wait to the triggerer; the task goes on in :meth:`execute_complete`.

        :param waiter_delay: the longest time between two looks, seconds.
        :param timeout: how long to wait at most, seconds. The trigger keeps it, as the expiry of Airflow's
            own ``defer(timeout=)`` gives the trigger no say.
        """
        self.defer(
            trigger=SageMakerPipelineExecutionTrigger(
                pipeline_execution_arn=pipeline_execution_arn,
                waiter_delay=waiter_delay,
                deadline=time.time() + timeout,
                aws_conn_id=self.aws_conn_id,
                region_name=self.region_name,
                verify=self.verify,
                botocore_config=self.botocore_config,
            ),
            method_name="execute_complete",
        )

    def execute_complete(self, context: Context, event: Mapping[str, Any] | None = None) -> Any:
        """Go on after the trigger has fired.

        :param event: the trigger's payload.
        """
        if not event or "pipeline_execution_arn" not in event:
            raise AirflowException(
                f"The trigger's event is {event!r}; expected pipeline_execution_arn in it."
            )
        arn = event["pipeline_execution_arn"]
        if event["event"] == "error":
            raise AirflowException(f"{arn} could not be watched: {event['message']}")
        if event["event"] == "timeout":
            raise _timed_out(arn)
        return self.judge(context, arn)

    def judge(self, context: Context, pipeline_execution_arn: str) -> dict[str, Any]:
        """Return the outcome of an execution that has ended well, or raise with the cause.

        What a retry cannot change fails without one.
        """
        try:
            outcome = self.pipeline_hook.execution_outcome(
                pipeline_execution_arn, rejection_steps=self.rejection_steps
            )
        except ExecutionError as error:
            self._report_failure(context, error)
            if _is_final(error):
                raise AirflowFailException(str(error)) from error
            raise
        except UnknownStatusError as error:
            raise AirflowFailException(f"{pipeline_execution_arn}: {error}") from error
        self._log_outcome(outcome)
        return outcome.as_dict()

    def _report_failure(self, context: Context, error: ExecutionError) -> None:
        context["ti"].xcom_push(key=XCOM_FAILURE, value=error.as_dict())
        if isinstance(error, ExecutionFailedError) and error.causes:
            SageMakerFailedStepLogLink.store(context, self, self.pipeline_hook, error.causes[0])  # type: ignore[arg-type]

    def _log_outcome(self, outcome: ExecutionOutcome) -> None:
        if outcome.rejected:
            self.log.warning(
                "%s was rejected by step %s: %s",
                outcome.pipeline_execution_arn,
                outcome.rejection_step,
                outcome.rejection_message,
            )
        else:
            self.log.info("%s ended as %s", outcome.pipeline_execution_arn, outcome.status)


def _timed_out(pipeline_execution_arn: str) -> AirflowSensorTimeout:
    return AirflowSensorTimeout(
        f"{pipeline_execution_arn} has not ended within the time that this task may wait. Give it a longer "
        "timeout, or look at what the execution waits for."
    )


def _is_final(error: SageMakerPipelinesError) -> bool:
    if isinstance(error, ExecutionStoppedError):
        return True
    return isinstance(error, ExecutionFailedError) and not error.can_be_retried
