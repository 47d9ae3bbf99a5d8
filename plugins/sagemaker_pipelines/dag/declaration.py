"""Build a complete DAG from one definition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from airflow.sdk import DAG, Asset, TaskGroup

from sagemaker_pipelines.dag import failing
from sagemaker_pipelines.dag.approving import Approval, check_approval
from sagemaker_pipelines.dag.champion import Champion, plan_comparison
from sagemaker_pipelines.dag.comparing import ComparisonDrawing
from sagemaker_pipelines.dag.fitting import (
    check_arguments,
    check_bounds,
    check_data_types,
    check_form,
    check_names,
    check_pipeline_name,
    gate_for,
    set_form,
)
from sagemaker_pipelines.dag.forms import (
    MAX_COST,
    MAX_INSTANCE_SECONDS,
    PIPELINE_VERSION_ID,
    FormIfPinned,
    UnlessPinned,
    form_params,
    form_values,
    run_params,
)
from sagemaker_pipelines.dag.gating import RESULT, Notifier, PipelineTasks, follow_gate
from sagemaker_pipelines.dag.mirroring import draw_steps
from sagemaker_pipelines.dag.pending import pending_fields, pending_params
from sagemaker_pipelines.dag.selecting import select_inputs
from sagemaker_pipelines.dag.timetables import CONTINUOUS, timetable_of, watched_assets
from sagemaker_pipelines.data.partitions import Partitions
from sagemaker_pipelines.definition import Envelope
from sagemaker_pipelines.notifications.sns import SageMakerSnsNotifier
from sagemaker_pipelines.operators.events import SelectNewEventsOperator
from sagemaker_pipelines.operators.partitions import IfMissing
from sagemaker_pipelines.operators.pipeline import SageMakerStartPipelineExecutionOperator
from sagemaker_pipelines.operators.upsert import SageMakerUpsertPipelineOperator
from sagemaker_pipelines.sensors.pipeline import SageMakerPipelineExecutionSensor
from sagemaker_pipelines.task.values import form_value, task_value


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
    pipeline_params: Mapping[str, object] | None = None,
    backfill_params: Mapping[str, object] | None = None,
    dag_options: Mapping[str, Any] | None = None,
    **tasks: Any,
) -> DAG:
    """Return a DAG that upserts a definition, starts an execution, waits for it, and acts on its gate.

    ``with sagemaker_pipeline_dag(...) as dag`` adds your own tasks, and
    :func:`sagemaker_pipeline_task_group` creates the same tasks in a DAG of your own.

    :param dag_id: the DAG's id.
    :param definition: path of the definition, compiled or plain (see :meth:`Envelope.load`).
    :param schedule: a cron expression or a timedelta, whose runs get data intervals; or ``"@once"``,
        ``"@continuous"``, a timetable, Airflow assets, or None. A run that was caused only by repeated
        events of watched assets is skipped. With watched assets and with ``"@continuous"``, only one run is
        active at a time.
    :param timezone: the time zone of a cron expression, an IANA name.
    :param start_date: the start of the first interval.
    :param notifier: makes a notifier from ``subject`` and ``message``, for a failure, a rejection and a model
        that awaits approval; None disables notifications.
    :param params: more fields for the trigger form, or replacements for the definition's fields.
    :param retries: the number of retries of each task.
    :param default_args: additional default_args for every task.
    :param inputs: see :func:`sagemaker_pipeline_tasks`.
    :param outputs: see :func:`sagemaker_pipeline_tasks`.
    :param pipeline_params: see :func:`sagemaker_pipeline_tasks`; their fields in the form may stay empty.
    :param backfill_params: see :func:`sagemaker_pipeline_tasks`.
    :param dag_options: more arguments of the DAG.
    :param tasks: more arguments of :func:`sagemaker_pipeline_tasks`.
    :raises ValueError: an argument does not fit the definition; the message says what would fit.
    """
    check_arguments(tasks, sagemaker_pipeline_tasks)
    envelope = Envelope.load(definition)
    form = {
        **form_params(
            envelope.parameters,
            by_interval={**(inputs or {}), **(outputs or {})},
            set_elsewhere=pipeline_params or (),
        ),
        **run_params(
            interval=bool(inputs or outputs),
            backfill=bool(backfill_params or tasks.get("champion") or tasks.get("approval")),
            **{name: tasks.get(name) for name in ("max_instance_seconds", "max_cost")},
        ),
        **pending_fields(envelope, tasks.get("champion"), tasks.get("approval")),
        **(params or {}),
    }
    options: dict[str, Any] = {
        "description": envelope.description,
        "doc_md": f"{envelope.description}\n",  # Airflow takes a text that ends in .md for a path.
        "catchup": False,
        "tags": [envelope.name],
        **({"max_active_runs": 1} if (assets := watched_assets(schedule)) or schedule == CONTINUOUS else {}),
        **(dag_options or {}),
    }
    dag = DAG(
        dag_id,
        schedule=timetable_of(schedule, timezone),
        start_date=start_date,
        default_args={"retries": retries, **failing.default_args(notifier, default_args)},
        **options,
    )
    with dag:
        sagemaker_pipeline_tasks(
            definition,
            notifier=notifier,
            inputs=inputs,
            outputs=outputs,
            pipeline_params=pipeline_params,
            backfill_params=backfill_params,
            assets=assets,
            form=form,
            **tasks,
        )
    set_form(dag, form, scheduled=schedule is not None)
    return dag


def sagemaker_pipeline_task_group(
    group_id: str,
    *,
    definition: str | Path,
    notifier: Notifier | None = SageMakerSnsNotifier,
    default_args: Mapping[str, Any] | None = None,
    **tasks: Any,
) -> TaskGroup:
    """Create the tasks of a definition in a task group of the current DAG, which may have several of them.

    A parameter without a field in the DAG's form gets its default. A DAG with a schedule needs a value for
    each field of its form, because nobody fills it in. List the parameters that ``pipeline_params`` sets in
    ``form_params(..., set_elsewhere=[...])``; otherwise Airflow refuses the DAG before its groups are made.

    :param group_id: the group's id; its tasks are ``<group_id>.start_pipeline`` and so on.
    :param definition: see :func:`sagemaker_pipeline_dag`.
    :param notifier: see :func:`sagemaker_pipeline_dag`.
    :param default_args: additional default_args for every task of the group.
    :param tasks: more arguments of :func:`sagemaker_pipeline_tasks`.
    :return: the group, for ``>>``; ``group["start_pipeline"]`` is one of its tasks.
    :raises ValueError: an argument does not fit the definition; the message says what would fit.
    """
    with TaskGroup(group_id, default_args=failing.default_args(notifier, default_args)) as group:
        sagemaker_pipeline_tasks(definition, notifier=notifier, **tasks)
    return group


def sagemaker_pipeline_tasks(
    definition: str | Path,
    *,
    pipeline_name: str | None = None,
    inputs: Mapping[str, Partitions] | None = None,
    outputs: Mapping[str, Partitions] | None = None,
    result: Partitions | None = None,
    if_missing: IfMissing = "wait",
    pipeline_params: Mapping[str, object] | None = None,
    backfill_params: Mapping[str, object] | None = None,
    data_parameters: Sequence[str] = (),
    gate: bool | str | None = None,
    rejection_steps: Sequence[str] | None = None,
    tolerated_failures: Sequence[str] | None = None,
    notifier: Notifier | None = SageMakerSnsNotifier,
    scoring_dag: str | None = None,
    scoring_conf: Mapping[str, object] | None = None,
    champion: Champion | None = None,
    approval: Approval | Literal["automatic"] | None = None,
    assets: Sequence[Asset] = (),
    before: Sequence[Any] = (),
    timeout: timedelta = timedelta(hours=6),
    max_instance_seconds: float | None = None,
    max_cost: float | None = None,
    mirror_steps: bool = True,
    form: Mapping[str, Any] | None = None,
) -> PipelineTasks:
    """Create the tasks of a definition in the current DAG or task group.

    A parameter gets the value of the form's field with the same name, or else its default.
    The form may also have the fields of :func:`~sagemaker_pipelines.dag.forms.run_params`.

    :param definition: see :func:`sagemaker_pipeline_dag`.
    :param pipeline_name: the name to deploy under; None means the definition's with the environment's prefix.
    :param inputs: partitions that a run reads, by parameter; a manual run reads what its form says.
    :param outputs: prefixes below which a run writes, by parameter.
    :param result: where the gate's verdict is stored in S3, one object for each interval.
    :param if_missing: whether a run whose input is missing waits, skips or fails.
    :param pipeline_params: values to use instead of the form's. Templated.
    :param backfill_params: values for a backfill's runs, unless its form asks to register. Templated.
    :param data_parameters: parameters whose S3 URIs are checked before the start.
    :param gate: the gate's Condition step; None finds it, False omits the branch.
    :param rejection_steps: see the sensor.
    :param tolerated_failures: see the sensor.
    :param notifier: see :func:`sagemaker_pipeline_dag`.
    :param scoring_dag: the DAG to trigger, once for each execution, when the gate is passed.
    :param scoring_conf: its conf; by default ``{"ModelPackageArn": <the registered package>}``. Templated.
    :param champion: what a model that passes the gate is compared with. With a champion or an approval,
        models are always registered as pending.
    :param approval: who approves a model before it is scored: a person, or ``"automatic"``, the verdict.
    :param assets: the Airflow assets in the DAG's schedule whose watchers may see an event twice. A run
        without new events is skipped, and only the partitions of new events are read.
    :param before: tasks that have to end before the start.
    :param timeout: how long to wait for an execution at most.
    :param max_instance_seconds: see the sensor; a form with the field ``MaxInstanceSeconds`` replaces it.
    :param max_cost: see the sensor; a form with the field ``MaxCost`` replaces it.
    :param mirror_steps: whether to draw the steps as tasks in the group ``steps``, if there are at most 50.
    :param form: the fields of the trigger form; None means the params that the DAG has now.
    :raises ValueError: an argument does not fit the definition; the message says what would fit.
    """
    envelope = Envelope.load(definition)
    check_bounds(max_instance_seconds=max_instance_seconds, max_cost=max_cost)
    check_approval(approval)
    check_pipeline_name(envelope, pipeline_name)
    check_names(envelope, inputs, outputs, pipeline_params, backfill_params, data_parameters)
    check_data_types(envelope, inputs or {})
    needs_gate = any(each is not None for each in (scoring_dag, result, champion, approval))
    found = gate_for(envelope, gate, needed=needs_gate)
    pending = pending_params(envelope, champion, approval, pipeline_params, backfill_params)
    pipeline_params = {**(pipeline_params or {}), **pending}
    plan = plan_comparison(champion, definition, envelope, found)
    targets = {**(outputs or {}), **({RESULT: result} if result is not None else {})}
    events = SelectNewEventsOperator(task_id="select_events", assets=assets) if assets else None
    select = select_inputs(inputs or {}, targets, if_missing, events) if inputs or targets else None
    by_interval = [*(inputs or {}), *(outputs or {})]
    upsert = SageMakerUpsertPipelineOperator(
        task_id="upsert_pipeline",
        definition=Path(definition),
        pipeline_name=pipeline_name,
        pipeline_version_id=form_value(PIPELINE_VERSION_ID),
    )
    fields = upsert.dag.params if form is None else form
    check_form(envelope, fields, by_interval=by_interval, set_elsewhere=pipeline_params or ())
    unless_pinned: Any = UnlessPinned(str(definition))
    bounds = {
        "max_instance_seconds": form_value(MAX_INSTANCE_SECONDS, otherwise=max_instance_seconds),
        "max_cost": form_value(MAX_COST, otherwise=max_cost),
    }
    selected = {name: task_value(select.task_id, name, otherwise=None) for name in by_interval if select}
    names = [parameter.name for parameter in envelope.parameters]
    if_pinned: Any = FormIfPinned(tuple(name for name in names if name not in (pipeline_params or ())))
    start = SageMakerStartPipelineExecutionOperator(
        task_id="start_pipeline",
        pipeline_name=task_value(upsert.task_id, "pipeline_name"),
        pipeline_version_id=task_value(upsert.task_id, "pipeline_version_id", otherwise=None),
        definition=unless_pinned,
        pipeline_params={
            **form_values(envelope.parameters),
            **selected,
            **(pipeline_params or {}),
        },
        optional_params=if_pinned,
        empty_is_default=by_interval,
        backfill_params=backfill_params,
        strict_conf=True,
        data_parameters=data_parameters,
        **bounds,
    )
    wait = SageMakerPipelineExecutionSensor(
        task_id="wait_for_pipeline",
        pipeline_exec_arn=task_value(start.task_id),
        rejection_steps=rejection_steps,
        tolerated_failures=tolerated_failures,
        deferrable=True,
        timeout=timeout.total_seconds(),
        **bounds,
    )
    comparison = ComparisonDrawing(plan, timeout, bounds, mirror_steps) if plan else None
    for task in (*before, upsert, events, select, comparison and comparison.check()):
        if task is not None:
            task >> start
    start >> wait
    mirrors = draw_steps(envelope.definition, start, wait) if mirror_steps else None
    tasks = PipelineTasks(upsert, select, start, wait, select_events=events, steps=mirrors)
    if found is None:
        return tasks
    kept = result is not None
    return follow_gate(
        tasks, envelope, found, notifier, scoring_dag, scoring_conf, kept, comparison, approval
    )
