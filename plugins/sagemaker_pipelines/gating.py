"""What follows the gate of a definition: the branch, notifications, scoring."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from airflow.sdk import BaseOperator

from sagemaker_pipelines.definition import Envelope, Gate, iter_steps
from sagemaker_pipelines.forms import REGISTER_IN_BACKFILL
from sagemaker_pipelines.operators.evaluation import SageMakerMetricBranchOperator
from sagemaker_pipelines.operators.events import SelectNewEventsOperator
from sagemaker_pipelines.operators.notification import NotifyOperator
from sagemaker_pipelines.operators.partitions import SageMakerSelectPartitionsOperator
from sagemaker_pipelines.operators.pipeline import SageMakerStartPipelineExecutionOperator
from sagemaker_pipelines.operators.trigger_dag_run import TriggerDagRunOnceOperator
from sagemaker_pipelines.operators.upsert import SageMakerUpsertPipelineOperator
from sagemaker_pipelines.sensors.pipeline import SageMakerPipelineExecutionSensor

EXECUTION_ARN = "{{ ti.xcom_pull('start_pipeline') }}"
RESULT = "result_uri"
LINKS = f"\nRun: {{{{ dag_run.run_id }}}}\nExecution: {EXECUTION_ARN}\nAirflow: {{{{ ti.log_url }}}}\n"

Notifier = Callable[..., Any]


@dataclass(frozen=True)
class PipelineTasks:
    """The tasks of one definition, to hang others on.

    :param upsert: ``upsert_pipeline``.
    :param select: ``select_inputs``; None without partitions.
    :param start: ``start_pipeline``; its XCom is the execution's ARN.
    :param wait: ``wait_for_pipeline``; its XCom is the outcome.
    :param branch: ``branch_on_<metric>``; None without a gate.
    :param notify_rejected: None without a gate or a notifier.
    :param notify_awaiting_approval: None unless the definition registers a model.
    :param trigger_scoring: None without a scoring DAG.
    :param select_events: ``select_events``; None without watched assets.
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

    @property
    def last(self) -> BaseOperator:
        """What to hang a further task on that needs the execution's end: the branch, else the wait."""
        return self.branch or self.wait


def follow_gate(
    tasks: PipelineTasks,
    envelope: Envelope,
    gate: Gate,
    notifier: Notifier | None,
    scoring_dag: str | None,
    scoring_conf: Mapping[str, str] | None,
    result: bool,
) -> PipelineTasks:
    """Make the branch and what may follow it.

    :param tasks: what comes before.
    :param envelope: the definition.
    :param gate: its gate.
    :param notifier: makes a notifier from ``subject`` and ``message``; None tells nobody.
    :param scoring_dag: the DAG to trigger when the gate is passed.
    :param scoring_conf: its conf.
    :param result: whether ``select_inputs`` names where the verdict is kept.
    """
    # A part of task ids: validation:rmse is branch_on_validation_rmse.
    metric = re.sub(r"\W+", "_", [part for part in gate.json_path.split(".") if part != "value"][-1]).lower()
    branch_id = f"branch_on_{metric}"
    registers = any(step["Type"] == "RegisterModel" for step in iter_steps(envelope.definition))
    rejected = _notify_rejected(envelope.name, branch_id, metric, notifier) if notifier else None
    awaiting = None
    if notifier and registers:
        awaiting = _notify_awaiting(envelope.name, branch_id, metric, scoring_dag, notifier)
    scoring = None
    if scoring_dag is not None:
        scoring = TriggerDagRunOnceOperator(
            task_id="trigger_scoring",
            trigger_dag_id=scoring_dag,
            # One scoring run for each execution, whoever retries or clears this task.
            trigger_run_id="{{ dag.dag_id }}__{{ ti.xcom_pull('start_pipeline').rpartition('/')[2] }}",
            conf=dict(scoring_conf if scoring_conf is not None else {"ModelPackageArn": _package(branch_id)}),
        )
    branch = SageMakerMetricBranchOperator(
        task_id=branch_id,
        pipeline_execution_arn=EXECUTION_ARN,
        accepted=_ids(scoring),
        rejected=_ids(rejected),
        awaiting_approval=_ids(awaiting) if awaiting else None,
        condition_step=gate.condition_step,
        rejection_steps=tasks.wait.rejection_steps,
        result_uri=selected(RESULT) if result else None,
        follow_in_backfill=f"{{{{ params.get('{REGISTER_IN_BACKFILL}', False) }}}}",
    )
    tasks.wait >> branch
    for task in (rejected, awaiting, scoring):
        if task is not None:
            branch >> task
    return replace(
        tasks,
        branch=branch,
        notify_rejected=rejected,
        notify_awaiting_approval=awaiting,
        trigger_scoring=scoring,
    )


def _notify_rejected(name: str, branch_id: str, metric: str, notifier: Notifier) -> NotifyOperator:
    why = "{{ ti.xcom_pull('wait_for_pipeline')['rejection_message'] }}"
    value, threshold = _reading(branch_id, metric)
    return NotifyOperator(
        task_id="notify_rejected",
        notifier=notifier(
            subject=f"{name} rejected: {value}",
            message=f"{name} rejected: {value}, {threshold}. {why}\n{LINKS}",
        ),
    )


def _notify_awaiting(
    name: str, branch_id: str, metric: str, scoring_dag: str | None, notifier: Notifier
) -> NotifyOperator:
    then = f", then trigger {scoring_dag}" if scoring_dag else ""
    approve = f"Approve {_package(branch_id)}{then}."
    return NotifyOperator(
        task_id="notify_awaiting_approval",
        notifier=notifier(
            subject=f"{name} awaiting approval",
            message=f"{name} awaiting approval: {', '.join(_reading(branch_id, metric))}. {approve}\n{LINKS}",
        ),
    )


def _reading(branch_id: str, metric: str) -> tuple[str, str]:
    value = f"{metric.upper()} {{{{ '%.4f' % ti.xcom_pull('{branch_id}', key='metric') }}}}"
    return value, f"threshold {{{{ '%g' % ti.xcom_pull('{branch_id}', key='threshold') }}}}"


def _package(branch_id: str) -> str:
    return f"{{{{ ti.xcom_pull('{branch_id}', key='model_package_arn') or '' }}}}"


def selected(name: str) -> str:
    """Return the template that reads what ``select_inputs`` has chosen."""
    return f"{{{{ (ti.xcom_pull('select_inputs') or {{}}).get('{name}') or '' }}}}"


def _ids(task: BaseOperator | None) -> list[str]:
    return [task.task_id] if task is not None else []
