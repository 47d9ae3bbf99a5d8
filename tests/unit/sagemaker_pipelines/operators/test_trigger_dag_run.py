from __future__ import annotations

from typing import Any

import pytest
from airflow.providers.standard.operators.trigger_dagrun import DagIsPaused
from airflow.sdk.exceptions import DagRunTriggerException

from sagemaker_pipelines.operators.trigger_dag_run import TriggerDagRunOnceOperator


class TaskInstance:
    """The part of a running task instance that the operator asks."""

    def __init__(self, *, existing: set[str], paused: bool = False) -> None:
        self.existing, self.paused = existing, paused
        self.pushed: dict[str, Any] = {}

    def get_dr_count(self, *, dag_id: str, run_ids: list[str]) -> int:
        return len(self.existing & set(run_ids))

    def get_dag(self, dag_id: str) -> Any:
        return self

    @property
    def is_paused(self) -> bool:
        return self.paused

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


def execute(task_instance: TaskInstance) -> None:
    operator = TriggerDagRunOnceOperator(
        task_id="trigger", trigger_dag_id="score", trigger_run_id="for__1", conf={"a": 1}
    )
    operator.execute({"ti": task_instance})  # type: ignore[typeddict-item]


def test_the_first_try_triggers_the_run_under_its_fixed_id_without_a_logical_date() -> None:
    with pytest.raises(DagRunTriggerException) as raised:
        execute(TaskInstance(existing={"for__0"}))
    assert raised.value.dag_run_id == "for__1"
    assert raised.value.logical_date is None
    assert raised.value.conf == {"a": 1}


def test_a_later_try_attaches_to_the_run_of_the_first() -> None:
    task_instance = TaskInstance(existing={"for__1"})
    execute(task_instance)
    assert task_instance.pushed["trigger_run_id"] == "for__1"


def test_a_paused_dag_is_an_error() -> None:
    with pytest.raises(DagIsPaused):
        execute(TaskInstance(existing=set(), paused=True))


@pytest.mark.parametrize(
    ("argument", "cure"),
    [
        ("wait_for_completion", "get_dagrun_state"),
        ("reset_dag_run", "another trigger_run_id"),
        ("skip_when_already_exists", "TriggerDagRunOperator skips"),
    ],
)
def test_what_a_later_attempt_would_not_do_is_refused_with_what_does_it(argument: str, cure: str) -> None:
    arguments: dict[str, Any] = {argument: True}
    with pytest.raises(ValueError, match=rf"{argument}=True\) is refused.*{cure}"):
        TriggerDagRunOnceOperator(task_id="trigger", trigger_dag_id="score", trigger_run_id="r", **arguments)
