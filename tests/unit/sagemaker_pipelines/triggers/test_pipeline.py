"""The trigger of a wait."""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from contextlib import suppress
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.models.trigger import Trigger
from airflow.sdk.serde import serialize

from sagemaker_pipelines.hooks.connection import AirflowConnectionError
from sagemaker_pipelines.triggers.pipeline import SageMakerPipelineExecutionTrigger
from tests.unit.sagemaker_pipelines.aws.test_watch import Looks, client_error
from tests.unit.sagemaker_pipelines.samples import ARN
from tests.waiting import GENEROUS_SECONDS

ARGUMENTS: dict[str, Any] = {
    "pipeline_execution_arn": ARN,
    "waiter_delay": 12.5,
    "deadline": 1_795_000_000.0,
    "stop_on_kill": False,
    "max_instance_seconds": 3600.0,
    "max_cost": 2.5,
    "earlier": {"Train": {"job-1": 12.5}},
    "aws_conn_id": None,
    "region_name": "eu-west-1",
    "verify": "/etc/ca.pem",
    "botocore_config": {"read_timeout": 10},
    "version": 1,
}


def fired(monkeypatch: pytest.MonkeyPatch, *answers: str | BaseException, **arguments: Any) -> dict[str, Any]:
    trigger = SageMakerPipelineExecutionTrigger(pipeline_execution_arn=ARN, waiter_delay=0.01, **arguments)
    hook = Looks(*answers)
    monkeypatch.setattr(trigger, "hook", lambda: hook)

    async def first() -> dict[str, Any]:
        async for event in trigger.run():
            return dict(event.payload)
        raise AssertionError("no event")

    return asyncio.run(asyncio.wait_for(first(), GENEROUS_SECONDS))


def test_a_trigger_survives_airflows_own_serialization() -> None:
    trigger = SageMakerPipelineExecutionTrigger(**ARGUMENTS)
    class_path, arguments = trigger.serialize()
    # The worker serializes, the database keeps, the triggerer reads.
    stored = Trigger.encrypt_kwargs(serialize(arguments))
    module, _, name = class_path.rpartition(".")
    copy = getattr(import_module(module), name)(**Trigger._decrypt_kwargs(stored))
    assert copy.serialize() == (class_path, ARGUMENTS)


def test_what_a_trigger_of_the_first_version_held_is_enough() -> None:
    first: dict[str, Any] = {
        "pipeline_execution_arn": ARN,
        "waiter_delay": 30,
        "aws_conn_id": "aws_default",
        "version": 1,
    }
    assert SageMakerPipelineExecutionTrigger(**first).deadline is None


@pytest.mark.parametrize("status", ["Succeeded", "Failed", "Stopped", "CompletedWithFailures", "Paused"])
def test_it_fires_once_the_execution_has_ended_and_judges_nothing(
    monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    event = fired(monkeypatch, "Executing", client_error("ThrottlingException"), "Stopping", status)
    assert event == {"event": "ended", "pipeline_execution_arn": ARN, "status": status, "message": None}


def test_an_error_that_stays_is_handed_to_the_task(monkeypatch: pytest.MonkeyPatch) -> None:
    event = fired(monkeypatch, client_error("AccessDeniedException"))
    assert event["event"] == "error"
    assert "AccessDeniedException" in event["message"]


def test_it_gives_up_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    event = fired(monkeypatch, *["Executing"] * 1000, deadline=time.time() + 0.1, stop_on_kill=False)
    assert (event["event"], event["pipeline_execution_arn"]) == ("timeout", ARN)


def test_an_execution_that_ends_just_before_the_deadline_is_not_a_timeout(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert fired(monkeypatch, "Succeeded", deadline=time.time() - 1)["event"] == "ended"


class Ending(Looks):
    """A hook whose execution can be stopped."""

    def __init__(self, *answers: str) -> None:
        super().__init__(*answers)
        self.stopped: list[str] = []

    def kill_client(self) -> Any:
        return self

    def stop_pipeline_execution(self, PipelineExecutionArn: str) -> None:
        self.stopped.append(PipelineExecutionArn)

    def describe_pipeline_execution(self, PipelineExecutionArn: str) -> dict[str, str]:
        return {"PipelineExecutionStatus": "Stopped" if self.stopped else "Executing"}


class DeferredTask:
    dag_id = "train"
    run_id = "run"
    task_id = "wait"
    map_index = -1


def killed(
    monkeypatch: pytest.MonkeyPatch, state: str | None, *, states: Any = None, **arguments: Any
) -> list[str]:
    """Return what on_kill stops while the task is in a state, or Airflow answers otherwise."""
    trigger = SageMakerPipelineExecutionTrigger(pipeline_execution_arn=ARN, **arguments)
    hook = Ending()
    monkeypatch.setattr(trigger, "hook", lambda: hook)
    trigger._task_instance = DeferredTask()
    monkeypatch.setattr(
        "sagemaker_pipelines.triggers.base.RuntimeTaskInstance.get_task_states",
        states or (lambda **_: {"run": {"wait": state}}),
    )
    asyncio.run(trigger.on_kill())
    return hook.stopped


@pytest.mark.parametrize("state", ["failed", "success", "scheduled", "removed", None])
def test_a_kill_by_a_user_stops_the_execution(monkeypatch: pytest.MonkeyPatch, state: str | None) -> None:
    assert killed(monkeypatch, state) == [ARN]


def test_on_kill_stops_although_airflow_cancels_it_every_second(monkeypatch: pytest.MonkeyPatch) -> None:
    trigger = SageMakerPipelineExecutionTrigger(pipeline_execution_arn=ARN)
    hook = Ending()
    monkeypatch.setattr(trigger, "hook", lambda: hook)
    trigger._task_instance = DeferredTask()

    def slow_states(**_: Any) -> dict[str, Any]:
        time.sleep(0.2)
        return {"run": {"wait": "failed"}}

    monkeypatch.setattr("sagemaker_pipelines.triggers.base.RuntimeTaskInstance.get_task_states", slow_states)

    async def cancelled_again_and_again() -> None:
        task = asyncio.ensure_future(asyncio.wait_for(trigger.on_kill(), GENEROUS_SECONDS))
        for _ in range(3):
            await asyncio.sleep(0.02)
            task.cancel("__airflow_user_action__")
        with suppress(asyncio.CancelledError):
            await task
        # The triggerer's loop goes on.
        async with asyncio.timeout(GENEROUS_SECONDS):
            while not hook.stopped:
                await asyncio.sleep(0.02)

    asyncio.run(cancelled_again_and_again())
    assert hook.stopped == [ARN]


def test_a_cancellation_during_a_look_keeps_airflows_message(monkeypatch: pytest.MonkeyPatch) -> None:
    trigger = SageMakerPipelineExecutionTrigger(pipeline_execution_arn=ARN)
    monkeypatch.setattr(trigger, "hook", SlowLooks)

    async def cancelled_while_looking() -> BaseException:
        task = asyncio.ensure_future(anext(trigger.run()))
        await asyncio.sleep(0.1)
        task.cancel("__airflow_user_action__")
        try:
            await task
        except asyncio.CancelledError as error:
            return error
        raise AssertionError("not cancelled")

    assert asyncio.run(cancelled_while_looking()).args == ("__airflow_user_action__",)


class SlowLooks(Looks):
    def describe_execution(self, arn: str) -> dict[str, str]:
        time.sleep(0.5)
        return {"PipelineExecutionStatus": "Executing"}


def test_a_move_to_another_triggerer_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert killed(monkeypatch, "deferred") == []


@pytest.mark.parametrize(("failures", "stopped"), [(3, [ARN]), (sys.maxsize, [])])
def test_on_kill_asks_airflow_again_and_stops_nothing_in_doubt(
    monkeypatch: pytest.MonkeyPatch, failures: int, stopped: list[str]
) -> None:
    left, clock = itertools.count(failures, -1), itertools.count()

    def states(**_: Any) -> Any:
        if next(left) > 0:
            raise ConnectionError("no answer")
        return {"run": {"wait": "failed"}}

    monkeypatch.setattr("sagemaker_pipelines.triggers.pipeline.ASK_AGAIN_SECONDS", 0)
    monkeypatch.setattr("sagemaker_pipelines.triggers.pipeline.time.monotonic", lambda: next(clock) / 2)
    assert killed(monkeypatch, None, states=states) == stopped


@pytest.mark.parametrize(("failures", "stopped"), [(3, [ARN]), (sys.maxsize, [])])
def test_on_kill_waits_for_the_connection_and_then_says_that_the_execution_goes_on(
    monkeypatch: pytest.MonkeyPatch, failures: int, stopped: list[str]
) -> None:
    hook, left, clock = Ending(), itertools.count(failures, -1), itertools.count()

    def client() -> Any:
        if next(left) > 0:
            raise AirflowConnectionError("prod", "no answer")
        return hook

    monkeypatch.setattr(hook, "kill_client", client)
    trigger = SageMakerPipelineExecutionTrigger(pipeline_execution_arn=ARN)
    monkeypatch.setattr(trigger, "hook", lambda: hook)
    trigger._task_instance = DeferredTask()
    monkeypatch.setattr(
        "sagemaker_pipelines.triggers.base.RuntimeTaskInstance.get_task_states",
        lambda **_: {"run": {"wait": "failed"}},
    )
    fake_time = SimpleNamespace(monotonic=lambda: next(clock), sleep=lambda _: None)
    monkeypatch.setattr("sagemaker_pipelines.triggers.pipeline.time", fake_time)
    asyncio.run(trigger.on_kill())
    assert hook.stopped == stopped


def test_stop_on_kill_false_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert killed(monkeypatch, "failed", stop_on_kill=False) == []


def test_the_deadline_stops_the_execution(monkeypatch: pytest.MonkeyPatch) -> None:
    trigger = SageMakerPipelineExecutionTrigger(pipeline_execution_arn=ARN, deadline=time.time() - 1)
    hook = Ending("Executing")
    monkeypatch.setattr(trigger, "hook", lambda: hook)

    async def first() -> Any:
        async for event in trigger.run():
            return event.payload
        raise AssertionError("no event")

    assert asyncio.run(first())["event"] == "timeout"
    assert hook.stopped == [ARN]
