"""Run a DAG for a Callback step, and answer the step as the run ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, AirflowSkipException
from airflow.sdk import DagRunState

from sagemaker_pipelines.aws import callbacks
from sagemaker_pipelines.data.callbacks import CONF_KEY, Callback
from sagemaker_pipelines.exceptions import SageMakerPipelinesError
from sagemaker_pipelines.hooks.pipeline import SageMakerPipelineHook
from sagemaker_pipelines.operators.trigger_dag_run import TriggerDagRunOnceOperator
from sagemaker_pipelines.states import STOPPING
from sagemaker_pipelines.task.values import task_value
from sagemaker_pipelines.triggers.callback import SageMakerCallbackTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context

XCOM_REASON = "reason"
_ACTIVE = [DagRunState.QUEUED.value, DagRunState.RUNNING.value]
_FAILED = frozenset({"failed", "upstream_failed"})


class SageMakerTriggerCallbackRunOperator(AwsBaseOperator[SageMakerPipelineHook], TriggerDagRunOnceOperator):
    """Trigger the run that works for a Callback step, once for each token.

    The run's conf has the arguments of the step. If the step is being stopped, and no run works for it, the
    step is answered with a failure.

    :param callback: the payload of the event, as docs/events.md describes it.
    :param kwargs: see :class:`~sagemaker_pipelines.operators.trigger_dag_run.TriggerDagRunOnceOperator`.
    """

    aws_hook_class = SageMakerPipelineHook
    template_fields: Sequence[str] = aws_template_fields(*TriggerDagRunOnceOperator.template_fields)

    def __init__(self, *, callback: Mapping[str, Any], **kwargs: Any) -> None:
        # What XCom holds is known only when the task runs.
        super().__init__(trigger_run_id="", **kwargs)
        self.callback = callback

    def execute(self, context: Context) -> None:
        """Trigger the run, or answer a step that is being stopped."""
        called = Callback.read(self.callback)
        self.trigger_run_id = called.run_id
        if self.callback["status"] != STOPPING:
            self.conf = called.conf(self.callback["arguments"])
            super().execute(context)
        elif self._is_active(context):
            self.log.info("%s of %s answers, as it sees the stop itself", called.run_id, self.trigger_dag_id)
        else:
            self._fail("The execution was stopped, and no run of Airflow worked for this step any more.")

    def answer_failure(self, context: Context) -> None:
        """Answer the step with a failure, because its run could not be triggered."""
        self._fail(f"Airflow could not run {self.trigger_dag_id}: {context.get('exception')}")

    def _fail(self, reason: str) -> None:
        callbacks.fail(self.hook.client, Callback.read(self.callback).callback_token, reason)

    def _is_active(self, context: Context) -> bool:
        count = context["ti"].get_dr_count(
            dag_id=self.trigger_dag_id, run_ids=[str(self.trigger_run_id)], states=_ACTIVE
        )
        return count > 0


def answer_failure(context: Context) -> None:
    """Answer the Callback step of a failed task that should have triggered its run: an Airflow callback."""
    task: Any = context["task"]
    task.answer_failure(context)


class SageMakerWatchCallbackOperator(AwsBaseOperator[SageMakerPipelineHook]):
    """Fail when the other tasks of the run must not go on, so that a DAG with ``fail_fast`` stops them.

    That is the case when the execution is being stopped or has ended, and after the deadline. Otherwise, the
    task waits in the triggerer until the other tasks have ended. It is skipped in a run that was not
    triggered for a Callback step.

    :param other_task_ids: the tasks that work for the step.
    :param timeout: how long the run may take, from when it was triggered.
    :param waiter_delay: the longest time between two polls of the execution, seconds, default 30.
    :raises AirflowFailException: the run must not go on; the XCom ``reason`` says why.
    """

    aws_hook_class = SageMakerPipelineHook
    template_fields: Sequence[str] = aws_template_fields()
    ui_color = "#eef3fb"

    def __init__(
        self, *, other_task_ids: Sequence[str], timeout: timedelta, waiter_delay: float = 30, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.other_task_ids = list(other_task_ids)
        self.timeout = timeout
        self.waiter_delay = waiter_delay

    def execute(self, context: Context) -> None:
        """Hand the watch to the triggerer."""
        called = _callback_of(context)
        self.log.info("Working for %s", called)
        self.defer(
            trigger=SageMakerCallbackTrigger(
                pipeline_execution_arn=called.pipeline_execution_arn,
                other_task_ids=self.other_task_ids,
                waiter_delay=self.waiter_delay,
                deadline=(context["dag_run"].run_after + self.timeout).timestamp(),
                aws_conn_id=self.aws_conn_id,
                region_name=self.region_name,
                verify=self.verify,
                botocore_config=self.botocore_config,
            ),
            method_name="execute_complete",
        )

    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> None:
        """Succeed if the other tasks have ended; otherwise fail, and say why.

        :param event: the trigger's payload.
        """
        if event["event"] == "ended":
            return
        if event["event"] == "error":
            raise AirflowException(f"The execution could not be watched: {event['message']}")
        reason = (
            f"The run has not ended within {self.timeout}."
            if event["event"] == "timeout"
            else f"The execution is {event['status']}, so the run does not go on."
        )
        context["ti"].xcom_push(key=XCOM_REASON, value=reason)
        raise AirflowFailException(reason)


class SageMakerAnswerCallbackOperator(AwsBaseOperator[SageMakerPipelineHook]):
    """Answer the Callback step as the other tasks of the run have ended.

    It is meant as a teardown task, which Airflow runs whatever happens to the other tasks.

    :param other_task_ids: the tasks that work for the step; if one of them failed, so does the step.
    :param watch_task_id: the task that watches the execution and the deadline.
    :param outputs: the outputs of the step, by name: a value, or a
        :func:`~sagemaker_pipelines.task.values.task_value`.
    :raises AirflowFailException: the step was answered with a failure, because a task failed or because the
        outputs cannot be sent; or it does not accept an answer any more.
    """

    aws_hook_class = SageMakerPipelineHook
    # The outputs are resolved only if no task failed, because a failed one has pushed nothing.
    template_fields: Sequence[str] = aws_template_fields()
    ui_color = "#e2f0d9"

    def __init__(
        self,
        *,
        other_task_ids: Sequence[str],
        watch_task_id: str,
        outputs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.other_task_ids = list(other_task_ids)
        self.watch_task_id = watch_task_id
        self.outputs = dict(outputs or {})

    def execute(self, context: Context) -> None:
        """Send the answer."""
        token = _callback_of(context).callback_token
        reason, accepted = self._reason(context), False
        if reason is None:
            try:
                outputs = {name: _resolved(value, context) for name, value in self.outputs.items()}
                accepted = callbacks.succeed(self.hook.client, token, outputs)
                self.log.info("The outputs of the step: %s", self.hook.masked(outputs))
            except (SageMakerPipelinesError, ValueError) as error:
                reason = str(error)
        if reason is not None:
            callbacks.fail(self.hook.client, token, reason)
            # Airflow judges a run by its last task; those that fail_fast has skipped would make it a success.
            raise AirflowFailException(f"The step fails: {reason}")
        if not accepted:
            raise AirflowFailException(
                "The step does not accept this answer: it has another one already, or its execution has "
                "ended. See the warning above."
            )

    def _reason(self, context: Context) -> str | None:
        """Return why the step has to fail; None if it succeeds."""
        ti, run_id = context["ti"], context["dag_run"].run_id
        states = ti.get_task_states(
            dag_id=ti.dag_id, task_ids=[*self.other_task_ids, self.watch_task_id], run_ids=[run_id]
        )[run_id]
        failed = sorted(name for name, state in states.items() if state in _FAILED)
        if not failed:
            return None
        seen = task_value(self.watch_task_id, key=XCOM_REASON, otherwise=None).resolve(context)
        return str(seen or f"Task {', '.join(failed)} failed in run {run_id} of {ti.dag_id}.")


def _callback_of(context: Context) -> Callback:
    called = Callback.of_run(context)
    if called is None:
        raise AirflowSkipException(
            f"The run's conf has no {CONF_KEY}: it was not triggered for a Callback step, and there is "
            "nothing to answer."
        )
    return called


def _resolved(value: Any, context: Context) -> Any:
    return value.resolve(context) if hasattr(value, "resolve") else value
