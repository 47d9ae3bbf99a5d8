"""The id of an Airflow; the end-to-end test of the sweep shows it with Airflow's own variables."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import Variable

from sagemaker_pipelines.deployment import VARIABLE, deployment_id


class Variables:
    """Airflow's variables, as a task's context shows them."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}

    def get(self, key: str, default: Any = None) -> Any:
        return self.kept.get(key, default)

    def set(self, key: str, value: str, description: str | None = None) -> None:
        self.kept[key] = value


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> Variables:
    variables = Variables()
    monkeypatch.setattr(Variable, "set", variables.set)
    return variables


def context_of(variables: Any) -> Any:
    return {"var": {"value": variables}}


def test_the_first_task_makes_the_id_and_every_later_one_reads_it(variables: Variables) -> None:
    made = deployment_id(context_of(variables))
    assert made == variables.kept[VARIABLE]
    assert deployment_id(context_of(variables)) == made


def test_two_databases_have_different_ids(variables: Variables) -> None:
    made = deployment_id(context_of(variables))
    variables.kept.clear()
    assert deployment_id(context_of(variables)) != made


def test_of_two_tasks_that_make_it_at_once_the_last_writer_counts(
    variables: Variables, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Variable, "set", lambda *_, **__: variables.set(VARIABLE, "theirs"))
    assert deployment_id(context_of(variables)) == "theirs"


def test_variables_that_cannot_be_reached_leave_no_id_and_fail_nothing() -> None:
    class Unreachable:
        def get(self, key: str, default: Any = None) -> Any:
            raise RuntimeError("the secrets backend is down")

    assert deployment_id(context_of(Unreachable())) is None
    assert deployment_id({}) is None
