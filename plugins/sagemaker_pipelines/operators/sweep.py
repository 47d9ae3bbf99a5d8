"""Find what DAG runs have left behind in SageMaker, and stop or delete it on request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields
from airflow.providers.common.compat.sdk import AirflowException
from botocore.exceptions import BotoCoreError, ClientError

from sagemaker_pipelines.aws import leftovers
from sagemaker_pipelines.aws.client import SageMakerClient
from sagemaker_pipelines.aws.environment import environment_name
from sagemaker_pipelines.aws.stopping import stop_execution
from sagemaker_pipelines.exceptions import DefinitionError
from sagemaker_pipelines.hooks.pipeline import SageMakerPipelineHook
from sagemaker_pipelines.reading import finite_number
from sagemaker_pipelines.states import execution_phase
from sagemaker_pipelines.task.airflow_id import airflow_id
from sagemaker_pipelines.task.logical_start import LogicalStart
from sagemaker_pipelines.task.sweeping import (
    AirflowRuns,
    Finding,
    Judge,
    SweepReport,
    SweptExecution,
    SweptFunction,
    SweptModel,
)
from sagemaker_pipelines.task.waiting import is_set

if TYPE_CHECKING:
    from airflow.sdk import BaseNotifier, Context

STOP_SECONDS = 20.0


class SageMakerSweepOperator(AwsBaseOperator[SageMakerPipelineHook]):
    """Report executions that this Airflow started but no longer watches, and models and functions left over.

    An execution belongs to this Airflow if its description contains the id of this Airflow, or if the XCom of
    the start task names it. An execution without such proof counts as foreign and is never stopped. An
    execution is watched while its DAG run is active and a task there waits for it, or may still do so. The
    operator stops and deletes nothing unless it is told to. ``docs/sweep.md`` explains each rule.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StopPipelineExecution.html

    :param pipelines: names of the pipelines to check; None means those that begin with ``name_prefix``.
        Templated.
    :param name_prefix: prefix of the pipelines' names; None means the environment's. Templated.
    :param stop_orphans: stop the orphans that are found, default False. Templated.
    :param delete_models: delete the models that are found, default False. Templated.
    :param min_age_minutes: ignore anything younger, default 30: after a start, it takes a moment until its
        wait knows the execution. Templated.
    :param lookback_days: ignore anything older, default 30. Templated.
    :param adopt: ARNs of executions, or generations from their descriptions, to treat as this Airflow's own,
        for example after its database was reset. Templated.
    :param notifier: called if an orphan or a model is found; its templates can use the report as ``sweep``
        and its table as ``sweep_text``.
    :return: ``{"orphans": [...], "foreign": [...], "models": [...], "functions": [...], "watched", "young",
        "others", "problems"}``, see :class:`~sagemaker_pipelines.task.sweeping.SweepReport`.
    :raises AirflowException: something could not be stopped, deleted or checked; everything else was, and the
        XCom ``report`` contains the report.
    """

    aws_hook_class = SageMakerPipelineHook
    template_fields: Sequence[str] = aws_template_fields(
        "pipelines",
        "name_prefix",
        "stop_orphans",
        "delete_models",
        "min_age_minutes",
        "lookback_days",
        "adopt",
    )
    ui_color = "#ededed"

    def __init__(
        self,
        *,
        pipelines: Sequence[str] | None = None,
        name_prefix: str | None = None,
        stop_orphans: bool | str = False,
        delete_models: bool | str = False,
        min_age_minutes: float | str = 30,
        lookback_days: float | str = 30,
        adopt: Sequence[str] | str = (),
        notifier: BaseNotifier | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.pipelines = pipelines
        self.name_prefix = name_prefix
        self.stop_orphans = stop_orphans
        self.delete_models = delete_models
        self.min_age_minutes = min_age_minutes
        self.lookback_days = lookback_days
        self.adopt = adopt
        self.notifier = notifier

    def execute(self, context: Context) -> dict[str, Any]:
        """Find the executions and models, act on them if requested, and report."""
        now = datetime.now(UTC)
        judge = Judge(AirflowRuns(context["ti"]), airflow_id=airflow_id(context), adopted=_names(self.adopt))
        sweep = _Sweep(
            self.hook.client,
            judge,
            since=now - timedelta(days=_number("lookback_days", self.lookback_days)),
            until=now - timedelta(minutes=_number("min_age_minutes", self.min_age_minutes)),
        )
        pipelines = self._pipelines()
        sweep.look(pipelines, stop=is_set(self.stop_orphans))
        sweep.look_for_models(delete=is_set(self.delete_models))
        environment = environment_name(self.hook.client, airflow_id(context))
        sweep.look_for_functions(self._prefix, environment, pipelines)
        report = sweep.report
        self.log.info("%s", report.as_text())
        if self.notifier is not None and (report.orphans or report.models):
            self.notifier({**context, "sweep": report.as_dict(), "sweep_text": report.as_text()})
        if report.problems:
            context["ti"].xcom_push(key="report", value=report.as_dict())
            raise AirflowException("The sweep is not complete: " + "; ".join(report.problems))
        return report.as_dict()

    def _pipelines(self) -> list[str]:
        if self.pipelines is not None:
            return list(self.pipelines)
        return [str(pipeline["PipelineName"]) for pipeline in self.hook.client.pipelines(self._prefix)]

    @property
    def _prefix(self) -> str:
        return self.hook.settings.name_prefix if self.name_prefix is None else self.name_prefix


class _Sweep:
    """One sweep; each execution is handled right after it was judged, because its run may continue."""

    def __init__(self, client: SageMakerClient, judge: Judge, *, since: datetime, until: datetime) -> None:
        self._client = client
        self._judge = judge
        self._since = since
        self._until = until
        self._ended: list[tuple[str, LogicalStart]] = []
        self.report = SweepReport()

    def look(self, pipelines: Sequence[str], *, stop: bool) -> None:
        """Judge every running execution, and remember those that have ended for :meth:`look_for_models`."""
        for summary in leftovers.executions(self._client, pipelines, created_after=self._since):
            start = LogicalStart.parse(summary.get("PipelineExecutionDescription"))
            if execution_phase(summary["PipelineExecutionStatus"]).is_terminal:
                if start is not None and summary["StartTime"] < self._until:
                    self._ended.append((str(summary["PipelineExecutionArn"]), start))
            elif summary["StartTime"] >= self._until:
                self.report.young += 1
            else:
                self._judge_running(summary, start, stop=stop)

    def _judge_running(self, summary: Mapping[str, Any], start: LogicalStart | None, *, stop: bool) -> None:
        arn = str(summary["PipelineExecutionArn"])
        if start is not None:
            finding, reason = self._judge.judge(arn, start)
        elif self._judge.is_adopted(arn, None):
            finding, reason = Finding.ORPHAN, "the user has named it"
        else:
            self.report.others += 1
            return
        swept = SweptExecution(
            pipeline_execution_arn=arn,
            status=str(summary["PipelineExecutionStatus"]),
            started_at=summary["StartTime"].isoformat(timespec="seconds"),
            reason=reason,
            start=asdict(start) if start else None,
        )
        if finding is Finding.WATCHED:
            self.report.watched += 1
        elif finding is Finding.FOREIGN:
            self.report.foreign.append(swept)
        else:
            self.report.orphans.append(self._stopped(swept) if stop else swept)

    def _stopped(self, swept: SweptExecution) -> SweptExecution:
        arn = swept.pipeline_execution_arn
        if not stop_execution(self._client.sagemaker, arn, seconds=STOP_SECONDS, log=self._client.log):
            self.report.problems.append(f"{arn} could not be stopped")
            return swept
        return replace(swept, stopped=True)

    def look_for_models(self, *, delete: bool) -> None:
        """Find the models that ended executions of this Airflow have left behind and nothing refers to."""
        models = leftovers.models(self._client, created_after=self._since, created_before=self._until)
        in_use: set[str] | None = None
        for arn, start in self._ended:
            # SageMaker puts the execution's id into the names, so most executions need no more calls.
            execution_id = arn.rpartition("/")[2]
            if not any(execution_id in model["ModelName"] for model in models.values()):
                continue
            if self._judge.is_needed(start) or not self._judge.is_ours(arn, start):
                continue
            for model_arn in sorted(leftovers.models_of(self._client, arn) & models.keys()):
                in_use = leftovers.models_in_use(self._client) if in_use is None else in_use
                model = models.pop(model_arn)
                if model["ModelName"] not in in_use:
                    self._report_model(model, arn, delete=delete)

    def look_for_functions(self, name_prefix: str, environment: str, pipelines: Sequence[str]) -> None:
        """Find the Lambda functions that neither these pipelines nor others of the environment call."""
        try:
            found = leftovers.functions(
                self._client,
                name_prefix,
                environment=environment,
                created_before=self._until,
                pipelines=pipelines,
            )
        except (BotoCoreError, ClientError, DefinitionError) as error:
            self.report.problems.append(f"Lambda functions could not be checked: {error}")
            return
        self.report.functions = [
            SweptFunction(
                function_name=function["FunctionName"],
                function_arn=function["FunctionArn"],
                modified_at=function["LastModified"],
            )
            for function in found
        ]

    def _report_model(self, model: Mapping[str, Any], arn: str, *, delete: bool) -> None:
        swept = SweptModel(
            model_name=str(model["ModelName"]),
            model_arn=str(model["ModelArn"]),
            created_at=model["CreationTime"].isoformat(timespec="seconds"),
            pipeline_execution_arn=arn,
        )
        if delete:
            try:
                leftovers.delete_model(self._client, swept.model_name)
                swept = replace(swept, deleted=True)
            except (ClientError, BotoCoreError) as error:
                self.report.problems.append(f"model {swept.model_name} could not be deleted: {error}")
        self.report.models.append(swept)


def _number(name: str, value: float | str) -> float:
    try:
        number = finite_number(str(value))
    except ValueError:
        number = -1.0
    if number < 0:
        raise ValueError(f"{name} is {value!r}; expected a number of at least 0. Correct it.")
    return number


def _names(value: Sequence[str] | str) -> list[str]:
    """Return the names in a list, or in a string with commas or spaces, as templates render it."""
    return value.replace(",", " ").split() if isinstance(value, str) else [str(name) for name in value]
