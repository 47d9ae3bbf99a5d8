"""A whole DAG for one compiled definition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Asset, AssetAll, AssetAny, CronDataIntervalTimetable, DeltaDataIntervalTimetable

from sagemaker_pipelines.definition import Envelope, Gate, gate_of, s3_data_types
from sagemaker_pipelines.exceptions import GateError
from sagemaker_pipelines.forms import (
    PIPELINE_VERSION_ID,
    REGISTER_IN_BACKFILL,
    form_params,
    form_values,
    run_params,
)
from sagemaker_pipelines.gating import (
    EXECUTION_ARN,
    LINKS,
    RESULT,
    Notifier,
    PipelineTasks,
    follow_gate,
    selected,
)
from sagemaker_pipelines.notifications.sns import SageMakerSnsNotifier
from sagemaker_pipelines.operators.events import SelectNewEventsOperator
from sagemaker_pipelines.operators.partitions import IfMissing, SageMakerSelectPartitionsOperator
from sagemaker_pipelines.operators.pipeline import SageMakerStartPipelineExecutionOperator
from sagemaker_pipelines.operators.upsert import SageMakerUpsertPipelineOperator
from sagemaker_pipelines.partitions import Partitions
from sagemaker_pipelines.sensors.pipeline import SageMakerPipelineExecutionSensor


def sagemaker_pipeline_dag(
    dag_id: str,
    *,
    definition: str | Path,
    schedule: Any = None,
    timezone: str = "UTC",
    start_date: datetime | None = None,
    notifier: Notifier | None = SageMakerSnsNotifier,
    params: Mapping[str, Any] | None = None,
    retries: int = 2,
    default_args: Mapping[str, Any] | None = None,
    inputs: Mapping[str, Partitions] | None = None,
    outputs: Mapping[str, Partitions] | None = None,
    backfill_params: Mapping[str, object] | None = None,
    dag_options: Mapping[str, Any] | None = None,
    **tasks: Any,
) -> DAG:
    """Return a DAG that upserts a definition, starts and awaits an execution, and acts on its gate.

    It can be taken apart: ``with sagemaker_pipeline_dag(...) as dag`` adds tasks, and
    :func:`sagemaker_pipeline_tasks` makes the same tasks in a DAG of one's own.

    :param dag_id: the DAG's id.
    :param definition: path of the compiled definition.
    :param schedule: a cron text or a timedelta, which get data intervals; or a timetable, assets, None. A run
        that only repeated events of watched assets have made is skipped, and such runs come one at a time.
    :param timezone: of a cron text, an IANA name.
    :param start_date: the first interval's start.
    :param notifier: makes a notifier from ``subject`` and ``message``, for a failure, a rejection and a model
        that awaits approval; None tells nobody.
    :param params: further fields of the trigger form, or others in place of the definition's.
    :param retries: of each task.
    :param default_args: of each task, besides.
    :param inputs: see :func:`sagemaker_pipeline_tasks`.
    :param outputs: see :func:`sagemaker_pipeline_tasks`.
    :param backfill_params: see :func:`sagemaker_pipeline_tasks`.
    :param dag_options: further arguments of the DAG.
    :param tasks: further arguments of :func:`sagemaker_pipeline_tasks`.
    :raises ValueError: an argument does not fit the definition; the message names what would.
    """
    envelope = Envelope.load(definition)
    form = form_params(envelope.parameters, by_interval={**(inputs or {}), **(outputs or {})}) | run_params(
        interval=bool(inputs or outputs), backfill=bool(backfill_params)
    )
    arguments: dict[str, Any] = {"retries": retries, **(default_args or {})}
    if notifier is not None:
        arguments.setdefault("on_failure_callback", _failure(notifier))
    options: dict[str, Any] = {
        "description": envelope.description,
        "doc_md": envelope.description,
        "catchup": False,
        "tags": [envelope.name],
        **({"max_active_runs": 1} if (assets := watched_assets(schedule)) else {}),
        **(dag_options or {}),
    }
    dag = DAG(
        dag_id,
        schedule=timetable_of(schedule, timezone),
        start_date=start_date,
        params=form | dict(params or {}),
        default_args=arguments,
        **options,
    )
    with dag:
        sagemaker_pipeline_tasks(
            definition,
            notifier=notifier,
            inputs=inputs,
            outputs=outputs,
            backfill_params=backfill_params,
            assets=assets,
            **tasks,
        )
    return dag


def sagemaker_pipeline_tasks(
    definition: str | Path,
    *,
    inputs: Mapping[str, Partitions] | None = None,
    outputs: Mapping[str, Partitions] | None = None,
    result: Partitions | None = None,
    if_missing: IfMissing = "wait",
    pipeline_params: Mapping[str, object] | None = None,
    backfill_params: Mapping[str, object] | None = None,
    data_parameters: Sequence[str] = (),
    gate: bool | str | None = None,
    rejection_steps: Sequence[str] | None = None,
    notifier: Notifier | None = SageMakerSnsNotifier,
    scoring_dag: str | None = None,
    scoring_conf: Mapping[str, str] | None = None,
    assets: Sequence[Asset] = (),
    before: Sequence[Any] = (),
    timeout: timedelta = timedelta(hours=6),
) -> PipelineTasks:
    """Make the tasks of a definition in the current DAG, whose form has the definition's parameters.

    It may have the fields of :func:`~sagemaker_pipelines.forms.run_params` too.

    :param definition: path of the compiled definition.
    :param inputs: partitions that a run reads, by parameter; a manual run reads what its form says.
    :param outputs: prefixes that a run writes below, by parameter.
    :param result: where the gate's verdict is kept in S3, one object for each interval.
    :param if_missing: whether a run whose input is missing waits, skips or fails.
    :param pipeline_params: values in place of the form's. Templated.
    :param backfill_params: values in a backfill's runs, unless its form asks to register.
    :param data_parameters: parameters whose S3 URIs are checked before the start.
    :param gate: the gate's Condition step; None finds it, False leaves the branch out.
    :param rejection_steps: see the sensor.
    :param notifier: see :func:`sagemaker_pipeline_dag`.
    :param scoring_dag: the DAG to trigger, once for each execution, when the gate is passed.
    :param scoring_conf: its conf; by default ``{"ModelPackageArn": <the registered package>}``. Templated.
    :param assets: those of the DAG's schedule whose watchers may see an event twice; a run of nothing new is
        skipped, and partitions are read of what is new.
    :param before: tasks that have to end before the start.
    :param timeout: how long to wait for an execution at most.
    :raises ValueError: an argument does not fit the definition; the message names what would.
    """
    envelope = Envelope.load(definition)
    _check_names(envelope, inputs, outputs, pipeline_params, backfill_params, data_parameters)
    _check_data_types(envelope, inputs or {})
    found = _gate(envelope, gate, needed=scoring_dag is not None or result is not None)
    targets = {**(outputs or {}), **({RESULT: result} if result is not None else {})}
    events = SelectNewEventsOperator(task_id="select_events", assets=assets) if assets else None
    select = _select(inputs or {}, targets, if_missing, events) if inputs or targets else None
    by_interval = [*(inputs or {}), *(outputs or {})]
    upsert = SageMakerUpsertPipelineOperator(
        task_id="upsert_pipeline",
        definition=definition,
        pipeline_version_id=_field(PIPELINE_VERSION_ID),
    )
    _check_form(upsert.dag.params, by_interval)
    pinned = f"params.get('{PIPELINE_VERSION_ID}')"
    start = SageMakerStartPipelineExecutionOperator(
        task_id="start_pipeline",
        pipeline_name="{{ ti.xcom_pull('upsert_pipeline')['pipeline_name'] }}",
        pipeline_version_id="{{ ti.xcom_pull('upsert_pipeline')['pipeline_version_id'] }}",
        # A pinned version may have other parameters than the file.
        definition=f"{{{{ '' if {pinned} else '{definition}' }}}}",
        pipeline_params={
            **form_values(envelope.parameters),
            **{name: selected(name) for name in by_interval},
            **(pipeline_params or {}),
        },
        empty_is_default=by_interval,
        backfill_params={name: _in_backfill(name, value) for name, value in (backfill_params or {}).items()},
        strict_conf=True,
        data_parameters=data_parameters,
    )
    wait = SageMakerPipelineExecutionSensor(
        task_id="wait_for_pipeline",
        pipeline_exec_arn=EXECUTION_ARN,
        rejection_steps=rejection_steps,
        deferrable=True,
        timeout=timeout.total_seconds(),
    )
    for task in (*before, upsert, events, select):
        if task is not None:
            task >> start
    start >> wait
    tasks = PipelineTasks(upsert, select, start, wait, select_events=events)
    if found is None:
        return tasks
    return follow_gate(
        tasks,
        envelope,
        found,
        notifier,
        scoring_dag,
        scoring_conf,
        result is not None,
    )


def timetable_of(schedule: Any, timezone: str = "UTC") -> Any:
    """Return a schedule whose runs have data intervals; Airflow's own reading of a cron text has none.

    :param schedule: a cron text, a timedelta, or anything else that a DAG takes, which is left as it is.
    :param timezone: of a cron text.
    """
    if isinstance(schedule, str):
        return CronDataIntervalTimetable(schedule, timezone=timezone)
    if isinstance(schedule, timedelta):
        return DeltaDataIntervalTimetable(schedule)
    return schedule


def watched_assets(schedule: Any) -> list[Asset]:
    """Return the assets of a schedule that triggers watch.

    :param schedule: anything that a DAG takes.
    """
    if isinstance(schedule, Asset):
        return [schedule] if schedule.watchers else []
    if isinstance(schedule, AssetAny | AssetAll):
        return watched_assets(schedule.objects)
    if isinstance(schedule, list | tuple | set | frozenset):
        return [asset for item in schedule for asset in watched_assets(item)]
    return []


def _check_names(envelope: Envelope, *given: Any) -> None:
    known = [parameter.name for parameter in envelope.parameters]
    for name in (name for names in given for name in names or ()):
        if name not in known:
            raise ValueError(
                f"{name!r} is no parameter of the definition {envelope.name!r}; known are "
                f"{', '.join(sorted(known))}."
            )


def _check_data_types(envelope: Envelope, inputs: Mapping[str, Partitions]) -> None:
    for name, partitions in inputs.items():
        wanted = "S3Prefix" if partitions.manifest is None else "ManifestFile"
        for found in s3_data_types(envelope.definition, name) - {wanted}:
            cure = "Give its Partitions a manifest" if partitions.manifest is None else "Leave out manifest="
            raise ValueError(
                f"The definition {envelope.name!r} reads {name} as {found}, and its partitions would be a "
                f"{wanted}. {cure}, or change S3DataType in the definition."
            )


def _check_form(form: Any, by_interval: Sequence[str]) -> None:
    for name in by_interval:
        if name in form and form.get_param(name).has_value and (value := form[name]) not in (None, ""):
            raise ValueError(
                f"The form fills in {name} with {value!r}, so that no interval would ever select it. Make "
                "its field with form_params(..., by_interval=[...]), which leaves it empty."
            )


def _gate(envelope: Envelope, gate: bool | str | None, *, needed: bool) -> Gate | None:
    if gate is False:
        if needed:
            raise ValueError("scoring_dag and result need a gate, and gate is False.")
        return None
    try:
        return gate_of(envelope.definition, condition_step=gate if isinstance(gate, str) else None)
    except GateError as error:
        if gate is None and not needed:
            return None
        raise ValueError(f"The definition {envelope.name!r} has no such gate: {error}") from error


def _select(
    inputs: Mapping[str, Partitions],
    outputs: Mapping[str, Partitions],
    if_missing: IfMissing,
    events: SelectNewEventsOperator | None,
) -> SageMakerSelectPartitionsOperator:
    return SageMakerSelectPartitionsOperator(
        task_id="select_inputs",
        inputs=inputs,
        outputs=outputs,
        values={name: _field(name) for name in {**inputs, **outputs} if name != RESULT},
        events=events.output if events is not None else None,
        strict_conf=True,
        if_missing=if_missing,
    )


def _failure(notifier: Notifier) -> Any:
    return notifier(
        subject="{{ dag.dag_id }} failed in {{ ti.task_id }}",
        message="{{ dag.dag_id }} failed in {{ ti.task_id }}: {{ exception }}\n" + LINKS,
    )


def _field(name: str) -> str:
    return f"{{{{ params.get('{name}') or '' }}}}"


def _in_backfill(name: str, value: object) -> str:
    return f"{{{{ params.{name} if params.get('{REGISTER_IN_BACKFILL}') else '{value}' }}}}"
