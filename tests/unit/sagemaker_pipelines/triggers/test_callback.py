"""The watch of a run that works for a Callback step fires when the run is over, or must not go on."""

from __future__ import annotations

import asyncio
import json
import time
from types import SimpleNamespace
from typing import Any

import pytest

from sagemaker_pipelines.airflow_internals import RuntimeTaskInstance
from sagemaker_pipelines.triggers import callback
from sagemaker_pipelines.triggers.callback import SageMakerCallbackTrigger
from tests.unit.sagemaker_pipelines.samples import ARN
from tests.unit.sagemaker_pipelines.triggers.test_mirror import Account
from tests.waiting import GENEROUS_SECONDS


def trigger(account: Account | None = None, *, seconds: float = 3600) -> SageMakerCallbackTrigger:
    found = SageMakerCallbackTrigger(
        pipeline_execution_arn=ARN,
        other_task_ids=["count", "compare"],
        waiter_delay=1,
        deadline=time.time() + seconds,
    )
    found.task_instance = SimpleNamespace(dag_id="check", task_id="watch", run_id="run")  # type: ignore[assignment]
    found.hook = lambda: account  # type: ignore[assignment,method-assign,return-value]
    return found


def fired(trigger: SageMakerCallbackTrigger) -> dict[str, Any]:
    async def first() -> dict[str, Any]:
        async for event in trigger.run():
            payload: dict[str, Any] = event.payload
            return payload
        raise AssertionError("no event")

    return asyncio.run(asyncio.wait_for(first(), GENEROUS_SECONDS))


@pytest.fixture
def states(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What Airflow answers about the tasks of the run, one answer after the other; the last one stays."""
    answers: list[Any] = [{"count": "running", "compare": None}]

    def get_task_states(**asked: Any) -> dict[str, Any]:
        assert asked == {"dag_id": "check", "task_ids": ["count", "compare"], "run_ids": ["run"]}
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(found, Exception):
            raise found
        return {"run": found}

    monkeypatch.setattr(RuntimeTaskInstance, "get_task_states", staticmethod(get_task_states))
    monkeypatch.setattr(callback, "ASK_SECONDS", 0.02)
    return answers


def test_it_survives_serialization() -> None:
    path, arguments = trigger().serialize()
    assert path == "sagemaker_pipelines.triggers.callback.SageMakerCallbackTrigger"
    assert SageMakerCallbackTrigger(**json.loads(json.dumps(arguments))).serialize() == (path, arguments)


def test_it_fires_when_all_other_tasks_have_ended_whatever_airflow_answers_before(states: list[Any]) -> None:
    states += [
        RuntimeError("database is locked"),
        {},
        {"count": "success", "compare": "up_for_retry"},
        {"count": "success", "compare": "skipped"},
    ]
    assert fired(trigger(Account()))["event"] == "ended"
    assert len(states) == 1


@pytest.mark.parametrize("status", ["Stopping", "Stopped", "Failed"])
def test_it_fires_when_the_execution_does_not_go_on(states: list[Any], status: str) -> None:
    assert fired(trigger(Account(status))) == {"event": "stopped", "status": status, "message": None}


def test_it_fires_at_the_deadline(states: list[Any]) -> None:
    assert fired(trigger(Account(), seconds=0.1))["event"] == "timeout"
