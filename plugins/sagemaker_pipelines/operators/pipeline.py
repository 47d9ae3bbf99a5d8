"""Start an execution of a pipeline."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.operators.sagemaker import SageMakerStartPipelineOperator
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields
from airflow.providers.common.compat.sdk import AirflowFailException, mask_secret
from airflow.sdk.exceptions import AirflowRescheduleException
from botocore.exceptions import BotoCoreError, ClientError

from sagemaker_pipelines.aws.environment import executing_count
from sagemaker_pipelines.aws.errors import code_of
from sagemaker_pipelines.aws.upsert import check_parallelism
from sagemaker_pipelines.exceptions import SageMakerPipelinesError
from sagemaker_pipelines.hooks.pipeline import SageMakerPipelineHook
from sagemaker_pipelines.links.pipeline import SageMakerFailedStepLogLink, SageMakerPipelineExecutionLink
from sagemaker_pipelines.task.inputs import StartInputs
from sagemaker_pipelines.task.runs import check_conf, with_backfill_values
from sagemaker_pipelines.task.starting import StartAttempt, mark_succeeded
from sagemaker_pipelines.task.waiting import ExecutionWaitMixin
from sagemaker_pipelines.triggers.base import settle_seconds

if TYPE_CHECKING:
    from airflow.sdk import Context


class SageMakerStartPipelineExecutionOperator(ExecutionWaitMixin, SageMakerStartPipelineOperator):
    """Start an execution of a pipeline, and optionally wait for it.

    It extends the provider's operator. The arguments keep their names and meaning, except that
    ``deferrable`` alone does not wait. The execution's ARN is in XCom (``pipeline_execution_arn``) as soon
    as it is known.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StartPipelineExecution.html

    :param pipeline_name: the pipeline's name or ARN. Templated.
    :param pipeline_params: values of any type. They are checked against the definition's parameters before
        AWS is called, and sent as the strings that AWS expects. None uses a parameter's default. Templated.
    :param definition: path of the definition to check against. None, or a template that renders to
        nothing, reads the version that will be executed; with such a template, an empty value also means the
        parameter's default, because the form of a deployed default is empty. Templated, except a Path.
    :param optional_params: values of ``pipeline_params``, by name, that are left out if the executed version
        does not have the parameter, for example because it was added later. None is then left out too; any
        other value is refused. Templated.
    :param empty_is_default: names of parameters for which an empty string means the default.
    :param backfill_params: values that replace those of ``pipeline_params`` in a backfill's run, unless the
        form's ``RegisterInBackfill`` is set. Templated.
    :param pipeline_version_id: the version to execute, from the upsert's XCom; None executes the newest.
        Templated.
    :param display_name: the name of the execution in SageMaker; None makes one from the run's kind and
        interval, or from its id if it has no interval. Templated.
    :param description: more text for the execution's description in SageMaker, after the ids of the start.
        Templated.
    :param strict_conf: whether to fail, before anything starts, if the run was triggered with a name that is
        not a field of the DAG's form, such as a misspelt one. Airflow itself silently accepts such a name.
    :param data_parameters: names of the parameters that are S3 URIs to be read. If nothing is stored at one
        of them, the task fails before anything starts.
    :param source_execution_arn: an earlier execution. With ``selected_steps`` or ``from_step``, its results
        replace the steps that do not run. Without them, RetryPipelineExecution resumes this execution and
        no other one is started. Templated.
    :param selected_steps: run only these steps. Templated.
    :param from_step: run this step and all steps that depend on it. Templated.
    :param max_parallel_execution_steps: how many steps of this execution may run at once.
    :param wait_for_completion: wait, as the sensor does.
    :param deferrable: wait in the triggerer.
    :param check_interval: the longest time between two polls, seconds, default 30.
    :param waiter_max_attempts: together with ``check_interval``, how long to wait at most.
    :param rejection_steps: see the sensor. Templated.
    :param tolerated_failures: see the sensor. Templated.
    :param stop_on_kill: see the sensor; an execution whose start is killed before it has the ARN is stopped
        too, and if the start is cleared, what it had begun is stopped unless a task of the run watches it.
    :param resume_on_retry: see the sensor. Templated.
    :param max_instance_seconds: see the sensor; it applies to a wait of this task. Templated.
    :param max_cost: see the sensor. Before anything starts, the task fails if the price of an instance that
        the execution may use is unknown. Templated.
    :param quota_retry_delay: if the account's quota of executions or the setting ``max_executing`` is used
        up, the start is attempted again after about this many seconds, default 60. The task waits outside a
        worker, and this does not count as a retry.
    :ivar effective_parameters: the values that the execution runs with, sent or default, with secrets
        masked; also in the log and among the rendered fields.
    :return: the ARN.
    :raises AirflowFailException: a parameter does not fit, data are missing, or the execution failed in a
        way that a retry cannot change.
    """

    aws_hook_class = SageMakerPipelineHook
    template_fields: Sequence[str] = aws_template_fields(
        "pipeline_name",
        "display_name",
        "description",
        "pipeline_params",
        "optional_params",
        "backfill_params",
        "definition",
        "pipeline_version_id",
        "selected_steps",
        "from_step",
        "source_execution_arn",
        "rejection_steps",
        "tolerated_failures",
        "resume_on_retry",
        "max_instance_seconds",
        "max_cost",
        "effective_parameters",
    )
    # Airflow then also shows the rendered fields as they are after the task.
    overwrite_rtif_after_execution = True
    operator_extra_links = (SageMakerPipelineExecutionLink(), SageMakerFailedStepLogLink())

    def __init__(
        self,
        *,
        pipeline_name: str,
        pipeline_params: Mapping[str, object] | None = None,
        optional_params: Mapping[str, object] | None = None,
        empty_is_default: Collection[str] = (),
        backfill_params: Mapping[str, object] | None = None,
        definition: str | Path | None = None,
        pipeline_version_id: int | str | None = None,
        display_name: str | None = None,
        description: str | None = None,
        strict_conf: bool = False,
        data_parameters: Sequence[str] = (),
        selected_steps: Sequence[str] | None = None,
        from_step: str | None = None,
        source_execution_arn: str | None = None,
        max_parallel_execution_steps: int | None = None,
        rejection_steps: Iterable[str] | None = None,
        tolerated_failures: Iterable[str] | None = None,
        stop_on_kill: bool = True,
        resume_on_retry: bool | str = True,
        max_instance_seconds: float | str | None = None,
        max_cost: float | str | None = None,
        quota_retry_delay: float = 60,
        check_interval: int = 30,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            pipeline_name=pipeline_name,
            display_name=display_name,  # type: ignore[arg-type] # None is replaced before the call
            pipeline_params=pipeline_params,  # type: ignore[arg-type] # any mapping of values
            check_interval=check_interval,
            **kwargs,
        )
        check_parallelism(max_parallel_execution_steps)
        if selected_steps and from_step:
            raise ValueError(
                f"selected_steps is {selected_steps!r} and from_step is {from_step!r}; expected only one of "
                "them, because both select the steps to run. Leave one out."
            )
        self.optional_params = optional_params
        self.empty_is_default = empty_is_default
        self.backfill_params = backfill_params
        # A Path is not templated, so nothing in it can be code.
        self.definition = definition
        self.pipeline_version_id = pipeline_version_id
        self.description = description
        self.strict_conf = strict_conf
        self.data_parameters = data_parameters
        self.selected_steps = selected_steps
        self.from_step = from_step
        self.source_execution_arn = source_execution_arn
        self.max_parallel_execution_steps = max_parallel_execution_steps
        self.rejection_steps = rejection_steps
        self.tolerated_failures = tolerated_failures
        self.stop_on_kill = stop_on_kill
        self.resume_on_retry = resume_on_retry
        self.max_instance_seconds = max_instance_seconds
        self.max_cost = max_cost
        self.quota_retry_delay = quota_retry_delay
        # Known once the execution runs; the UI shows it among the rendered fields.
        self.effective_parameters: dict[str, str] | None = None
        self._attempt: StartAttempt | None = None

    def execute(self, context: Context) -> Any:
        """Start, wait if so requested, and return the ARN."""
        self.prepare_kill()
        attempt = self._attempt = StartAttempt(context, self.client, self.log)
        self.pipeline_params = with_backfill_values(
            context, self.pipeline_params or {}, self.backfill_params or {}
        )
        # Airflow's log then masks secrets wherever they appear, for example in an answer of AWS.
        mask_secret({name: str(value) for name, value in self.pipeline_params.items() if value is not None})
        inputs = self._inputs()
        try:
            if self.strict_conf:
                check_conf(context)
            attempt.prepare(inputs.request)
        except SageMakerPipelinesError as error:
            raise AirflowFailException(str(error)) from error
        self.end_if_killed()
        if self.stop_on_kill:
            attempt.stop_replaced()
        else:
            attempt.forget_replaced()
        result = self._start_and_wait(context, attempt, inputs)
        attempt.succeed()
        return result

    def execute_complete(self, context: Context, event: Mapping[str, Any] | None = None) -> Any:
        """Continue after the trigger has fired, and return the ARN."""
        arn = super().execute_complete(context, event)
        mark_succeeded(context)
        return arn

    def find_when_killed(self) -> str | None:
        """Return the ARN of the execution to stop, even if its start has not been answered yet."""
        if self._watched_arn is None and self._attempt is not None:
            self._watched_arn = self._attempt.find_when_killed(self._kill_client)
        return self._watched_arn

    def _start_and_wait(self, context: Context, attempt: StartAttempt, inputs: StartInputs) -> Any:
        try:
            arn = attempt.send(self._require_room)
        except SageMakerPipelinesError as error:
            raise AirflowFailException(str(error)) from error
        except ClientError as error:
            if code_of(error) != "ResourceLimitExceeded":
                raise
            raise self._postpone(str(error)) from error
        # A kill until here stops only what belongs to this run; from here on, what the task watches.
        self.end_if_killed()
        self.begin_wait(context, arn, is_retry=attempt.is_retry)
        self.log.info("Execution %s", arn)
        self._show_parameters(attempt, inputs)
        if not self.wait_for_completion:
            self.hand_over()
            return arn
        timeout = float(self.check_interval) * self.waiter_max_attempts
        if self.deferrable:
            self.defer_wait(arn, waiter_delay=self.check_interval, timeout=timeout)
        self.wait(context, arn, waiter_delay=self.check_interval, timeout=timeout)
        return arn

    def _show_parameters(self, attempt: StartAttempt, inputs: StartInputs) -> None:
        """Show the values that the execution runs with: those that were sent, and the defaults."""
        request = attempt.record.request if attempt.record else {}
        if "PipelineName" not in request:
            return
        try:
            self.effective_parameters = inputs.effective_parameters(request)
        except (ClientError, BotoCoreError, SageMakerPipelinesError) as error:
            self.log.warning("Cannot read the version's defaults: %s", error)
            return
        sent = {item["Name"] for item in request.get("PipelineParameters", ())}
        for name, value in self.effective_parameters.items():
            self.log.info("Parameter %s: %s%s", name, value, "" if name in sent else " (default)")

    def _require_room(self) -> None:
        """Postpone the start while the environment has as many executions as its settings allow."""
        limit = self.client.settings.max_executing
        if limit is not None and (count := executing_count(self.client, limit=limit)) >= limit:
            raise self._postpone(f"{count} executions are running, and the setting max_executing is {limit}.")
        self.end_if_killed()

    def _postpone(self, reason: str) -> AirflowRescheduleException:
        """Return the exception that postpones the task outside a worker, without using up an attempt.

        The next process of the attempt must not begin before the executor has reported the end of this one.
        """
        jittered = self.quota_retry_delay * random.uniform(0.75, 1.25)  # noqa: S311
        delay = max(settle_seconds(), jittered)
        self.log.warning("%s Retrying in %.0f s.", reason, delay)
        return AirflowRescheduleException(  # type: ignore[no-untyped-call]
            datetime.now(UTC) + timedelta(seconds=delay)
        )

    def _inputs(self) -> StartInputs:
        return StartInputs(
            client=self.client,
            log=self.log,
            pipeline_name=self.pipeline_name,
            pipeline_params=self.pipeline_params or {},
            optional_params=self.optional_params or {},
            empty_is_default=self.empty_is_default,
            definition=self.definition,
            pipeline_version_id=self.pipeline_version_id,
            display_name=self.display_name,
            description=self.description,
            data_parameters=self.data_parameters,
            selected_steps=self.selected_steps,
            from_step=self.from_step,
            source_execution_arn=self.source_execution_arn,
            max_parallel_execution_steps=self.max_parallel_execution_steps,
            bounds=self.bounds(),
        )
