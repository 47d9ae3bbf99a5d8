"""Wait for a pipeline execution."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.sensors.sagemaker import SageMakerPipelineSensor
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields
from airflow.providers.common.compat.sdk import conf
from airflow.sdk import PokeReturnValue
from airflow.sdk.exceptions import AirflowSensorTimeout, AirflowSkipException

from sagemaker_pipelines.airflow_internals import PacedSensorMixin
from sagemaker_pipelines.aws.watch import ExecutionWatch
from sagemaker_pipelines.hooks.pipeline import SageMakerPipelineHook
from sagemaker_pipelines.links.pipeline import SageMakerFailedStepLogLink, SageMakerPipelineExecutionLink
from sagemaker_pipelines.task.waiting import ExecutionWaitMixin

if TYPE_CHECKING:
    from airflow.sdk import Context


class SageMakerPipelineExecutionSensor(ExecutionWaitMixin, PacedSensorMixin, SageMakerPipelineSensor):
    """Wait until a pipeline execution has ended, and return its outcome.

    It succeeds if the execution Succeeded, or if it was *rejected*, that is, only rejection steps Failed.
    Everything else is a failure, reported with the failed step, its reason and its log. The transitions of
    the steps appear in the task's log as they happen.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribePipelineExecution.html

    :param pipeline_exec_arn: ARN of the execution. Templated.
    :param rejection_steps: names of the Fail steps that reject a model; None uses those of the gate in the
        execution's own definition. Templated.
    :param tolerated_failures: names of steps that may fail without failing this task. SageMaker ends such an
        execution as CompletedWithFailures, if a step ran although one before it had failed. Templated.
    :param stop_on_kill: whether to stop the execution if somebody fails, clears or marks the task, or if it
        is evicted or times out; False leaves the execution running.
    :param resume_on_retry: whether a retry or a clear of this task resumes, with RetryPipelineExecution, an
        execution that failed or that a kill of this task stopped. A rejection is never retried. Templated.
    :param max_instance_seconds: the most that the execution may bill, seconds times instances. When it passes
        this, it is stopped, and the task fails without a retry. The environment's setting of the same name
        applies too; the lower one counts. Templated.
    :param max_cost: the same for what it costs, in the currency of the prices (docs/billing.md). Templated.
    :param deferrable: wait in the triggerer instead of a worker; default Airflow's
        ``[operators] default_deferrable``.
    :param poke_interval: the longest time between two polls, seconds, default 30; the first polls are closer
        together.
    :return: the execution's ARN. The XCom ``execution`` holds its record, also if it failed; see
        :class:`~sagemaker_pipelines.aws.record.ExecutionRecord`.
    :raises ValueError: ``mode`` is ``reschedule``, in which nothing could stop the execution between two
        polls.
    :raises ExecutionFailedError: the execution failed; the record holds step, reason and log.
    :raises AirflowFailException: it failed in a way that a retry cannot change, or somebody stopped it.
    """

    aws_hook_class = SageMakerPipelineHook
    template_fields: Sequence[str] = aws_template_fields(
        "pipeline_exec_arn",
        "rejection_steps",
        "tolerated_failures",
        "resume_on_retry",
        "max_instance_seconds",
        "max_cost",
    )
    operator_extra_links = (SageMakerPipelineExecutionLink(), SageMakerFailedStepLogLink())

    def __init__(
        self,
        *,
        pipeline_exec_arn: str,
        rejection_steps: Iterable[str] | None = None,
        tolerated_failures: Iterable[str] | None = None,
        stop_on_kill: bool = True,
        resume_on_retry: bool | str = True,
        max_instance_seconds: float | str | None = None,
        max_cost: float | str | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poke_interval: float = 30,
        **kwargs: Any,
    ) -> None:
        if kwargs.get("mode", "poke") != "poke":
            raise ValueError(
                f"mode is {kwargs['mode']!r}, which is refused: nothing could stop the execution between two "
                "polls. Expected 'poke'. Use deferrable=True instead, which does not occupy a worker either."
            )
        super().__init__(pipeline_exec_arn=pipeline_exec_arn, poke_interval=poke_interval, **kwargs)
        self.rejection_steps = rejection_steps
        self.tolerated_failures = tolerated_failures
        self.stop_on_kill = stop_on_kill
        self.resume_on_retry = resume_on_retry
        self.max_instance_seconds = max_instance_seconds
        self.max_cost = max_cost
        self.deferrable = deferrable
        self._watch: ExecutionWatch | None = None

    def execute(self, context: Context) -> Any:
        """Wait, here or in the triggerer, and return the ARN."""
        self.begin_wait(context, self.pipeline_exec_arn)
        if self.deferrable:
            self.defer_wait(
                self.pipeline_exec_arn, waiter_delay=self.poke_interval, timeout=float(self.timeout)
            )
        try:
            return super().execute(context)
        except (AirflowSensorTimeout, AirflowSkipException):
            # With soft_fail, both a timeout and a failure arrive here as a skip.
            if self._watch is None or not self._watch.has_ended:
                self.stop_for_timeout(self.pipeline_exec_arn)
            raise

    def poke(self, context: Context) -> bool | PokeReturnValue:
        """Poll once; a transient fault counts as "not yet"."""
        if self._watch is None:
            self._watch = ExecutionWatch(
                self.client, self.pipeline_exec_arn, waiter_delay=self.poke_interval, log=self.log
            )
        if self._watch.look() is None:
            self.end_if_too_much(context, self.pipeline_exec_arn, self._watch.steps)
            return False
        self.judge(context, self.pipeline_exec_arn)
        return PokeReturnValue(is_done=True, xcom_value=self.pipeline_exec_arn)

    def seconds_to_next_poke(self) -> float:
        """Return the delay of the watch, which replaces the sensor's own exponential backoff."""
        return self._watch.delay() if self._watch else self.poke_interval
