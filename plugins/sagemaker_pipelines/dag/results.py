"""Values that a task reads from the results of the tasks of a definition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sagemaker_pipelines.aws.billing import billed_text
from sagemaker_pipelines.operators.comparison import XCOM_MODELS
from sagemaker_pipelines.operators.evaluation import GATE_KEYS, XCOM_GATE, pushed_gate
from sagemaker_pipelines.task.publishing import XCOM_EXECUTION
from sagemaker_pipelines.task.values import task_value

if TYPE_CHECKING:
    from airflow.sdk import Context


@dataclass(frozen=True)
class GateValue:
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
class ComparedExecution:
    """Resolves to the execution that compared the models; None if there was no champion.

    Airflow keeps what a task pushed when a later attempt of the run skips it. So it is the models that
    ``find_champion`` has found now that tell whether the execution belongs to them.

    :param find_task_id: the task that finds the champion.
    :param wait_task_id: the task that waits for the comparison.
    """

    find_task_id: str
    wait_task_id: str

    def resolve(self, context: Context) -> Any:
        found = task_value(self.find_task_id, key=XCOM_MODELS, otherwise=None).resolve(context)
        return task_value(self.wait_task_id).resolve(context) if found else None


@dataclass(frozen=True)
class ScoringRunId:
    """Resolves to the same scoring run for each execution, even if the task is retried or cleared.

    :param start_task_id: the task that started the execution.
    """

    start_task_id: str

    def resolve(self, context: Context) -> str:
        execution = task_value(self.start_task_id).resolve(context).rpartition("/")[2]
        return f"{context['dag'].dag_id}__{execution}"


@dataclass(frozen=True)
class Billed:
    """Resolve to what the execution of a wait bills, as text; None if the wait has not pushed its record."""

    wait_task_id: str

    def resolve(self, context: Context) -> str | None:
        record = task_value(self.wait_task_id, key=XCOM_EXECUTION, otherwise=None).resolve(context)
        return billed_text(record) if record else None
