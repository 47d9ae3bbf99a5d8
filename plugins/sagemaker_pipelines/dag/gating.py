"""The tasks that follow the gate of a definition: branch, notifications, scoring."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from airflow.sdk import BaseOperator, TaskGroup, literal

from sagemaker_pipelines.dag.approving import AUTOMATIC, Approval, approval_task
from sagemaker_pipelines.dag.comparing import ComparisonDrawing, ComparisonTasks
from sagemaker_pipelines.dag.results import Billed, GateValue, ScoringRunId
from sagemaker_pipelines.definition import Envelope, Gate, iter_steps
from sagemaker_pipelines.operators.approval import SageMakerApproveModelPackageOperator
from sagemaker_pipelines.operators.comparison import XCOM_COMPARISON, SageMakerCompareModelsOperator
from sagemaker_pipelines.operators.evaluation import SageMakerMetricBranchOperator
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

RESULT = "result_uri"

Notifier = Callable[..., Any]


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
        model, and with an approval.
    :param trigger_scoring: ``trigger_scoring``; None without a scoring DAG.
    :param select_events: ``select_events``; None without watched Airflow assets.
    :param steps: the group ``steps`` with a mirror of each step; None if there are no mirrors.
    :param compare: ``compare_with_champion.compare_models``; None without a champion.
    :param notify_champion_stays: ``notify_champion_stays``; None without a champion or a notifier.
    :param approve: ``approve_model``; None without an approval.
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
    compare: SageMakerCompareModelsOperator | None = None
    notify_champion_stays: NotifyOperator | None = None
    approve: SageMakerApproveModelPackageOperator | None = None

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
    comparison: ComparisonDrawing | None = None,
    approval: Approval | Literal["automatic"] | None = None,
) -> PipelineTasks:
    """Create the branch and the tasks that follow it.

    :param tasks: the tasks before it.
    :param envelope: the definition.
    :param gate: its gate.
    :param notifier: makes a notifier from ``subject`` and ``message``; None disables notifications.
    :param scoring_dag: the DAG to trigger when the gate is passed.
    :param scoring_conf: its conf.
    :param result: whether ``select_inputs`` says where to store the verdict.
    :param comparison: creates the tasks that compare the model with its champion.
    :param approval: who approves the model before it is scored.
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
    compared = comparison.follow(branch) if comparison is not None else None
    tasks = replace(tasks, branch=branch, compare=compared.compare if compared else None)
    values = _values(tasks, branch, envelope.name, scoring_dag)
    if notifier is not None:
        tasks = replace(tasks, notify_rejected=_notify_rejected(values, notifier))
        if registers and approval is None:
            tasks = replace(tasks, notify_awaiting_approval=_notify_awaiting(values, notifier))
        if compared:
            tasks = replace(tasks, notify_champion_stays=_notify_champion_stays(values, notifier))
    if approval is not None:
        about = {
            "model_package_arn": GateValue(branch.task_id, "model_package_arn"),
            "gate": values["gate"],
            "comparison": values["comparison"],
            "pipeline_execution_arn": values["execution"],
        }
        tasks = replace(tasks, approve=approval_task(approval, notifier, **about))
    if scoring_dag is not None:
        tasks = replace(tasks, trigger_scoring=_trigger(tasks, branch, scoring_dag, scoring_conf))
    _connect(tasks, branch, compared, automatic=approval == AUTOMATIC)
    return tasks


def _connect(
    tasks: PipelineTasks,
    branch: SageMakerMetricBranchOperator,
    compared: ComparisonTasks | None,
    *,
    automatic: bool,
) -> None:
    """Let the tasks follow the branch: comparison, approval, scoring, and their notifications."""
    approve = tasks.approve
    branch.accepted, branch.rejected = _ids(approve or tasks.trigger_scoring), _ids(tasks.notify_rejected)
    branch >> [task for task in (tasks.notify_rejected, approve) if task is not None]
    if tasks.trigger_scoring is not None:
        (approve or branch) >> tasks.trigger_scoring
    awaiting = _ids(approve or tasks.notify_awaiting_approval)
    branch.awaiting_approval = awaiting or None
    # What a model that awaits its approval leads to follows the comparison, if there is one.
    before: BaseOperator = branch
    if compared:
        branch.awaiting_approval = [compared.find.task_id]
        before = compared.compare
        before.won, before.lost = awaiting, _ids(tasks.notify_champion_stays)
        if approve is not None:
            before >> approve
            # The rule rejects a model that does not win; a person is not asked about it.
            before.lost += _ids(approve) if automatic else []
    before >> [
        task for task in (tasks.notify_awaiting_approval, tasks.notify_champion_stays) if task is not None
    ]


def _trigger(
    tasks: PipelineTasks,
    branch: SageMakerMetricBranchOperator,
    scoring_dag: str,
    scoring_conf: Mapping[str, object] | None,
) -> TriggerDagRunOnceOperator:
    package: dict[str, Any] = {"ModelPackageArn": GateValue(branch.task_id, "model_package_arn")}
    run_id: Any = ScoringRunId(tasks.start.task_id)
    return TriggerDagRunOnceOperator(
        task_id="trigger_scoring",
        trigger_dag_id=scoring_dag,
        trigger_run_id=run_id,
        conf=dict(scoring_conf if scoring_conf is not None else package),
    )


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
        "billed": Billed(tasks.wait.task_id),
        "gate": GateValue(branch.task_id),
        "scoring_dag": literal(scoring_dag),
        "comparison": task_value(tasks.compare.task_id, key=XCOM_COMPARISON, otherwise=None)
        if tasks.compare
        else None,
    }


_READING = "{{ values.gate.metric | upper }} {{ '%.6g' % values.gate.value }}"
_THRESHOLD = "threshold {{ '%g' % values.gate.threshold }}"
LINKS = """
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
            f"{{{{ values.cause.reason if values.cause else '' }}}}\n{LINKS}",
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
            "{% if values.comparison %}Comparison: {{ values.comparison.reason }}. {% endif %}"
            f"Approve {{{{ values.gate.model_package_arn }}}}{then}.\n{LINKS}",
        ),
    )


def _notify_champion_stays(values: Mapping[str, Any], notifier: Notifier) -> NotifyOperator:
    return NotifyOperator(
        task_id="notify_champion_stays",
        values=values,
        notifier=notifier(
            subject="{{ values.name }}: the champion stays",
            message="The champion {{ values.comparison.champion.arn }} stays: "
            "{{ values.comparison.reason }}. "
            f"{{{{ values.gate.model_package_arn }}}} is not scored.\n{LINKS}",
        ),
    )


def _ids(task: BaseOperator | None) -> list[str]:
    return [task.task_id] if task is not None else []
