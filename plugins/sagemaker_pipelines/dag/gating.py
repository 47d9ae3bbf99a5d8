"""The tasks that follow the gate of a definition: branch, notifications, scoring."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, TaskGroup, literal

from sagemaker_pipelines.aws.billing import billed_text
from sagemaker_pipelines.definition import Envelope, Gate, iter_steps
from sagemaker_pipelines.notifications.sending import send
from sagemaker_pipelines.operators.evaluation import (
    GATE_KEYS,
    XCOM_GATE,
    SageMakerMetricBranchOperator,
    pushed_gate,
)
from sagemaker_pipelines.operators.events import SelectNewEventsOperator
from sagemaker_pipelines.operators.notification import NotifyOperator
from sagemaker_pipelines.operators.partitions import SageMakerSelectPartitionsOperator
from sagemaker_pipelines.operators.pipeline import SageMakerStartPipelineExecutionOperator
from sagemaker_pipelines.operators.trigger_dag_run import TriggerDagRunOnceOperator
from sagemaker_pipelines.operators.upsert import SageMakerUpsertPipelineOperator
from sagemaker_pipelines.sensors.pipeline import SageMakerPipelineExecutionSensor
from sagemaker_pipelines.task.publishing import XCOM_EXECUTION
from sagemaker_pipelines.task.runs import REGISTER_IN_BACKFILL
from sagemaker_pipelines.task.values import form_value, task_value

if TYPE_CHECKING:
    from airflow.sdk import Context

RESULT = "result_uri"

Notifier = Callable[..., Any]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PipelineTasks:
    """The tasks of one definition, to which you can add your own.

    :param upsert: ``upsert_pipeline``.
    :param select: ``select_inputs``; None without partitions.
    :param start: ``start_pipeline``; its XCom is the execution's ARN.
    :param wait: ``wait_for_pipeline``; its XCom is the outcome.
    :param branch: ``branch_on_<metric>``; None without a gate.
    :param notify_rejected: ``notify_rejected``; None without a gate or a notifier.
    :param notify_awaiting_approval: ``notify_awaiting_approval``; None unless the definition registers a
        model.
    :param trigger_scoring: ``trigger_scoring``; None without a scoring DAG.
    :param select_events: ``select_events``; None without watched Airflow assets.
    :param steps: the group ``steps`` with a mirror of each step; None if there are no mirrors.
    """

    upsert: SageMakerUpsertPipelineOperator
    select: SageMakerSelectPartitionsOperator | None
    start: SageMakerStartPipelineExecutionOperator
    wait: SageMakerPipelineExecutionSensor
    branch: SageMakerMetricBranchOperator | None = None
    notify_rejected: NotifyOperator | None = None
    notify_awaiting_approval: NotifyOperator | None = None
    trigger_scoring: TriggerDagRunOnceOperator | None = None
    select_events: SelectNewEventsOperator | None = None
    steps: TaskGroup | None = None

    @property
    def last(self) -> BaseOperator:
        """The task after which the execution has ended: the branch, or the wait if there is no branch."""
        return self.branch or self.wait


def follow_gate(
    tasks: PipelineTasks,
    envelope: Envelope,
    gate: Gate,
    notifier: Notifier | None,
    scoring_dag: str | None,
    scoring_conf: Mapping[str, object] | None,
    result: bool,
) -> PipelineTasks:
    """Create the branch and the tasks that follow it.

    :param tasks: the tasks before it.
    :param envelope: the definition.
    :param gate: its gate.
    :param notifier: makes a notifier from ``subject`` and ``message``; None disables notifications.
    :param scoring_dag: the DAG to trigger when the gate is passed.
    :param scoring_conf: its conf.
    :param result: whether ``select_inputs`` says where to store the verdict.
    """
    metric = gate.label
    registers = any(step.get("Type") == "RegisterModel" for step in iter_steps(envelope.definition))
    condition_step: Any = literal(gate.condition_step)
    branch = SageMakerMetricBranchOperator(
        task_id=f"branch_on_{re.sub(r'[^a-z0-9_]+', '_', metric.lower()).strip('_') or 'metric'}",
        pipeline_execution_arn=task_value(tasks.start.task_id),
        # Only a task that exists has its full id, which includes that of its group.
        accepted=[],
        rejected=[],
        condition_step=condition_step,
        rejection_steps=tasks.wait.rejection_steps,
        tolerated_failures=tasks.wait.tolerated_failures,
        result_uri=task_value(tasks.select.task_id, RESULT) if result and tasks.select else None,
        follow_in_backfill=form_value(REGISTER_IN_BACKFILL, otherwise=False),
    )
    tasks.wait >> branch
    tasks = replace(tasks, branch=branch)
    values = _values(tasks, branch, envelope.name, scoring_dag)
    if notifier is not None:
        tasks = replace(tasks, notify_rejected=_notify_rejected(values, notifier))
        if registers:
            tasks = replace(tasks, notify_awaiting_approval=_notify_awaiting(values, notifier))
    if scoring_dag is not None:
        tasks = replace(tasks, trigger_scoring=_trigger(tasks, branch, scoring_dag, scoring_conf))
    branch.accepted, branch.rejected = _ids(tasks.trigger_scoring), _ids(tasks.notify_rejected)
    branch.awaiting_approval = _ids(tasks.notify_awaiting_approval) or None
    for task in (tasks.notify_rejected, tasks.notify_awaiting_approval, tasks.trigger_scoring):
        if task is not None:
            branch >> task
    return tasks


def _trigger(
    tasks: PipelineTasks,
    branch: SageMakerMetricBranchOperator,
    scoring_dag: str,
    scoring_conf: Mapping[str, object] | None,
) -> TriggerDagRunOnceOperator:
    package: dict[str, Any] = {"ModelPackageArn": _GateValue(branch.task_id, "model_package_arn")}
    run_id: Any = _ScoringRunId(tasks.start.task_id)
    return TriggerDagRunOnceOperator(
        task_id="trigger_scoring",
        trigger_dag_id=scoring_dag,
        trigger_run_id=run_id,
        conf=dict(scoring_conf if scoring_conf is not None else package),
    )


@dataclass(frozen=True)
class _GateValue:
    """Resolves to what the branch pushed.

    :param branch_task_id: the branch.
    :param entry: the entry to return, as text; None returns the whole gate.
    """

    branch_task_id: str
    entry: str | None = None

    def resolve(self, context: Context) -> Any:
        def pushed(key: str) -> Any:
            return task_value(self.branch_task_id, key=key, otherwise=None).resolve(context)

        gate = pushed(XCOM_GATE) or pushed_gate(
            {key: v for key in GATE_KEYS if (v := pushed(key)) is not None}
        )
        if not gate:
            raise ValueError(
                f"The task {self.branch_task_id!r} has pushed no gate to XCom; expected that of its "
                "last attempt in this DAG run. Clear that task, so that it runs again."
            )
        return gate if self.entry is None else gate.get(self.entry) or ""


@dataclass(frozen=True)
class _ScoringRunId:
    """Resolves to the same scoring run for each execution, even if the task is retried or cleared.

    :param start_task_id: the task that started the execution.
    """

    start_task_id: str

    def resolve(self, context: Context) -> str:
        execution = task_value(self.start_task_id).resolve(context).rpartition("/")[2]
        return f"{context['dag'].dag_id}__{execution}"


@dataclass(frozen=True)
class _Billed:
    """Resolve to what the execution of a wait bills, as text; None if the wait has not pushed its record."""

    wait_task_id: str

    def resolve(self, context: Context) -> str | None:
        record = task_value(self.wait_task_id, key=XCOM_EXECUTION, otherwise=None).resolve(context)
        return billed_text(record) if record else None


def _values(
    tasks: PipelineTasks,
    branch: SageMakerMetricBranchOperator,
    name: str,
    scoring_dag: str | None,
) -> dict[str, Any]:
    """Return the values that the notifications' templates read, by name."""
    return {
        # Chosen by the author of the definition, and not a template.
        "name": literal(name),
        "execution": task_value(tasks.start.task_id),
        "cause": task_value(tasks.wait.task_id, "cause", key=XCOM_EXECUTION, otherwise=None),
        "billed": _Billed(tasks.wait.task_id),
        "gate": _GateValue(branch.task_id),
        "scoring_dag": literal(scoring_dag),
    }


_READING = "{{ values.gate.metric | upper }} {{ '%.4f' % values.gate.value }}"
_THRESHOLD = "threshold {{ '%g' % values.gate.threshold }}"
_LINKS = """
Run: {{ dag_run.run_id }}
Execution: {{ values.execution or 'unknown' }}
{% if values.billed %}Billed: {{ values.billed }}
{% endif %}Airflow: {{ ti.log_url }}
"""


def _notify_rejected(values: Mapping[str, Any], notifier: Notifier) -> NotifyOperator:
    return NotifyOperator(
        task_id="notify_rejected",
        values=values,
        notifier=notifier(
            subject=f"{{{{ values.name }}}} rejected: {_READING}",
            message=f"{{{{ values.name }}}} rejected: {_READING}, {_THRESHOLD}. "
            f"{{{{ values.cause.reason if values.cause else '' }}}}\n{_LINKS}",
        ),
    )


def _notify_awaiting(values: Mapping[str, Any], notifier: Notifier) -> NotifyOperator:
    then = "{% if values.scoring_dag %}, then trigger {{ values.scoring_dag }}{% endif %}"
    return NotifyOperator(
        task_id="notify_awaiting_approval",
        values=values,
        notifier=notifier(
            subject="{{ values.name }} awaiting approval",
            message=f"{{{{ values.name }}}} awaiting approval: {_READING}, {_THRESHOLD}. "
            f"Approve {{{{ values.gate.model_package_arn }}}}{then}.\n{_LINKS}",
        ),
    )


def notify_failure(notifier: Notifier) -> Any:
    """Return the callback for the failure of any task in the DAG or task group of the start.

    :param notifier: makes a notifier from ``subject`` and ``message``.
    """
    return _FailureCallback(
        notifier(
            subject="{{ dag.dag_id }} failed in {{ ti.task_id }}",
            message="{{ dag.dag_id }} failed in {{ ti.task_id }}: {{ exception }}\n" + _LINKS,
        )
    )


@dataclass(frozen=True)
class _FailureCallback:
    """Sends a notification for each failure; Airflow gives all tasks the same callback.

    :param notifier: the notifier; its templates may read ``values.execution``, the ARN, and
        ``values.billed``, what it bills if the wait has pushed its record.
    """

    notifier: Any

    def __call__(self, context: Context) -> None:
        send(self.notifier, {**context, "values": _values_of_failure(context)})


def _values_of_failure(context: Context) -> dict[str, Any]:
    """Return the execution of the failed task's group, and in a mapped group that of the same instance."""
    values: dict[str, Any] = {"execution": None, "billed": None}
    group: Any = context["task"].task_group

    def full_id(name: str) -> str:
        return str(group.child_id(name)) if group is not None else name

    try:
        values["execution"] = task_value(full_id("start_pipeline"), otherwise=None).resolve(context)
        values["billed"] = _Billed(full_id("wait_for_pipeline")).resolve(context)
    except Exception as error:
        # A notification without these lines is better than none.
        log.warning("The notification cannot name the execution: %s", error)
    return values


def _ids(task: BaseOperator | None) -> list[str]:
    return [task.task_id] if task is not None else []
