"""The poller that all waits of a triggerer share."""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sagemaker_pipelines.aws import pacing
from sagemaker_pipelines.aws.client import PAGE_SIZE
from sagemaker_pipelines.aws.steps import Step
from sagemaker_pipelines.triggers import poller, step_lists
from sagemaker_pipelines.triggers.pipeline import SageMakerPipelineExecutionTrigger
from sagemaker_pipelines.triggers.waits import Wait
from tests.unit.sagemaker_pipelines.aws.test_watch import client_error
from tests.unit.sagemaker_pipelines.stand_in import StandIn
from tests.waiting import GENEROUS_SECONDS

PIPELINE_ARN = "arn:aws:sagemaker:us-east-1:123456789012:pipeline/abalone"
START = datetime(2026, 11, 23, 7, tzinfo=UTC)


class Account(StandIn):
    """A pipeline with executions, which counts the calls that they cost."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.arns = [f"{PIPELINE_ARN}/execution/{number:012}" for number in range(count)]
        self.statuses = dict.fromkeys(self.arns, "Executing")
        self.calls: list[str] = []
        self.filters: list[dict[str, Any]] = []
        self.faults: list[BaseException] = []

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if self.faults:
            raise self.faults.pop()

    def list_executions(self, pipeline_name: str, **filters: Any) -> Iterator[dict[str, Any]]:
        assert pipeline_name == "abalone"
        # A look that is told of before the statuses change sees none of the changes.
        statuses = self.statuses
        self.filters.append(filters)
        newest_first = list(enumerate(self.arns))[::-1]
        for number, (index, arn) in enumerate(newest_first):
            if number % PAGE_SIZE == 0:
                self._call("list")
            started = START + timedelta(minutes=index)
            if "CreatedAfter" in filters and started < filters["CreatedAfter"]:
                return
            yield {
                "PipelineExecutionArn": arn,
                "PipelineExecutionStatus": statuses[arn],
                "StartTime": started,
            }

    def describe_execution(self, arn: str) -> dict[str, Any]:
        self._call("describe")
        if arn not in self.statuses:
            raise client_error("ResourceNotFound")
        return {"PipelineExecutionStatus": self.statuses[arn], "CreationTime": START}

    def list_steps(self, arn: str) -> list[Step]:
        self.calls.append("steps")
        return [Step(name="Train", status="Executing")]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poller, "SECONDS_PER_PAGE", 0.05)


def waits(account: Account, arns: list[str], **arguments: Any) -> list[Any]:
    """Return a task for each trigger; it ends with the trigger's event."""

    async def first(trigger: SageMakerPipelineExecutionTrigger) -> dict[str, Any]:
        async for event in trigger.run():
            return dict(event.payload)
        raise AssertionError("no event")

    made = []
    for arn in arns:
        trigger = SageMakerPipelineExecutionTrigger(
            pipeline_execution_arn=arn, waiter_delay=0.05, **arguments
        )
        trigger.hook = lambda: account  # type: ignore[method-assign]
        made.append(asyncio.ensure_future(first(trigger)))
    return made


async def until(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + GENEROUS_SECONDS
    while not ready():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


def pollers() -> list[poller.ExecutionPoller]:
    return list(poller._POLLERS.get(asyncio.get_running_loop(), {}).values())


def test_250_waits_are_three_pages_a_look_and_each_hears_of_its_own_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(step_lists, "SECONDS_PER_LOG", 3600.0)
    account = Account(250)

    async def scenario() -> list[dict[str, Any]]:
        tasks = waits(account, account.arns)
        await until(lambda: len(account.filters) >= 3)
        assert len(pollers()) == 1
        account.statuses = {
            arn: "Failed" if number % 2 else "Succeeded" for number, arn in enumerate(account.arns)
        }
        return list(await asyncio.gather(*tasks))

    events = asyncio.run(scenario())
    assert [event["status"] for event in events] == ["Succeeded", "Failed"] * 125
    assert account.calls.count("describe") == 0
    assert account.calls.count("list") == 3 * len(account.filters)
    # One step list in the interval, whoever waits.
    assert account.calls.count("steps") == 1


def test_a_look_goes_back_no_further_than_the_oldest_execution_that_is_watched() -> None:
    account = Account(250)

    async def scenario() -> None:
        tasks = waits(account, account.arns[200:203])
        await until(lambda: len(account.filters) >= 3)
        account.statuses = dict.fromkeys(account.arns, "Succeeded")
        await asyncio.gather(*tasks)

    asyncio.run(scenario())
    assert account.filters[0] == {}
    assert account.filters[1]["CreatedAfter"] == START + timedelta(minutes=199)


def test_two_waits_are_described_and_their_steps_are_read_at_each_look() -> None:
    account = Account(2)

    async def scenario() -> None:
        tasks = waits(account, account.arns)
        await until(lambda: account.calls.count("steps") >= 4)
        account.statuses = dict.fromkeys(account.arns, "Succeeded")
        await asyncio.gather(*tasks)

    asyncio.run(scenario())
    assert "list" not in account.calls


def test_the_end_of_one_wait_leaves_the_others_and_the_last_one_ends_the_polling() -> None:
    account = Account(5)

    async def scenario() -> None:
        tasks = waits(account, account.arns)
        await until(lambda: "list" in account.calls)
        tasks[0].cancel("the task was cleared")
        with pytest.raises(asyncio.CancelledError):
            await tasks[0]
        looks = len(account.filters)
        await until(lambda: len(account.filters) > looks)
        assert not any(task.done() for task in tasks[1:])
        for task in tasks[1:]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        (shared,) = pollers()
        assert shared._task is None
        calls = len(account.calls)
        await asyncio.sleep(0.2)
        assert len(account.calls) <= calls + 1

    asyncio.run(scenario())


@pytest.mark.parametrize("count", [1, 5])
def test_a_transient_fault_ends_no_wait(count: int) -> None:
    account = Account(count)
    account.faults = [client_error("ThrottlingException"), client_error("Whatever", 503)]

    async def scenario() -> list[dict[str, Any]]:
        tasks = waits(account, account.arns)
        await until(lambda: not account.faults)
        account.statuses = dict.fromkeys(account.arns, "Succeeded")
        return list(await asyncio.gather(*tasks))

    assert [event["event"] for event in asyncio.run(scenario())] == ["ended"] * count


def test_a_wait_outlives_expired_credentials() -> None:
    account = Account(2)
    account.faults = [client_error("ExpiredToken")] * 3

    async def scenario() -> list[dict[str, Any]]:
        tasks = waits(account, account.arns)
        await until(lambda: not account.faults)
        account.statuses = dict.fromkeys(account.arns, "Succeeded")
        return list(await asyncio.gather(*tasks))

    assert [event["event"] for event in asyncio.run(scenario())] == ["ended"] * 2


def test_credentials_that_nobody_renews_end_each_wait_after_its_own_patience(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    account = Account(5)
    account.faults = [client_error("ExpiredToken")] * 10_000

    async def scenario() -> list[dict[str, Any]]:
        old = waits(account, account.arns[:2])
        await until(lambda: len(account.calls) > 1)
        monkeypatch.setattr(pacing, "PATIENCE_SECONDS", 0)
        events = list(await asyncio.gather(*old))
        monkeypatch.undo()
        monkeypatch.setattr(poller, "SECONDS_PER_PAGE", 0.05)
        (new,) = waits(account, account.arns[2:3])
        calls = len(account.calls)
        await until(lambda: len(account.calls) > calls + 1)
        assert not new.done()
        account.faults.clear()
        account.statuses = dict.fromkeys(account.arns, "Succeeded")
        return [*events, await new]

    *lost, late = asyncio.run(scenario())
    assert [event["event"] for event in lost] == ["error"] * 2
    assert all("Renew the credentials" in event["message"] for event in lost)
    assert late["event"] == "ended"


def test_an_error_that_stays_reaches_every_wait() -> None:
    account = Account(5)
    account.faults = [client_error("AccessDeniedException")]

    async def scenario() -> list[dict[str, Any]]:
        return list(await asyncio.gather(*waits(account, account.arns)))

    events = asyncio.run(scenario())
    assert [event["event"] for event in events] == ["error"] * 5
    assert all("AccessDeniedException" in event["message"] for event in events)


def test_an_execution_that_is_not_there_ends_its_own_wait_only() -> None:
    account = Account(5)
    missing = f"{PIPELINE_ARN}/execution/gone"

    async def scenario() -> tuple[dict[str, Any], list[dict[str, Any]]]:
        lost, *others = waits(account, [missing, *account.arns])
        event = await lost
        assert not any(task.done() for task in others)
        account.statuses = dict.fromkeys(account.arns, "Succeeded")
        return event, list(await asyncio.gather(*others))

    event, others = asyncio.run(scenario())
    assert (event["event"], "ResourceNotFound" in event["message"]) == ("error", True)
    assert {other["status"] for other in others} == {"Succeeded"}


TASK = contextvars.ContextVar("TASK", default="none")


def test_what_the_shared_poller_logs_belongs_to_none_of_the_waiting_tasks() -> None:
    account, seen = Account(1), set()
    described = account.describe_execution

    def describe_execution(arn: str) -> dict[str, Any]:
        seen.add(TASK.get())
        return described(arn)

    account.describe_execution = describe_execution  # type: ignore[method-assign]
    account.statuses = dict.fromkeys(account.arns, "Succeeded")

    async def scenario() -> None:
        TASK.set("wait_for_pipeline")
        await asyncio.gather(*waits(account, account.arns))

    asyncio.run(scenario())
    assert seen == {"none"}


def test_another_connection_region_or_pipeline_has_another_poller() -> None:
    account = Account(1)
    other = Account(1)
    other.arns = [arn.replace("/abalone/", "/scoring/") for arn in other.arns]
    other.statuses = dict.fromkeys(other.arns, "Executing")

    async def scenario() -> int:
        tasks = [
            *waits(account, account.arns),
            *waits(account, account.arns, aws_conn_id="another"),
            *waits(account, account.arns, region_name="eu-west-1"),
            *waits(account, account.arns, botocore_config={"read_timeout": 5}),
            *waits(other, other.arns),
        ]
        await until(lambda: len(pollers()) == 5)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return len(pollers())

    assert asyncio.run(scenario()) == 5


@pytest.mark.parametrize(
    ("age", "usual", "delay"),
    [(0, None, 1), (100, None, 10), (1000, None, 60), (1000, 3600, 60), (3590, 3600, 1), (3700, 3600, 10)],
)
def test_looks_are_quick_at_first_and_near_the_usual_duration(
    age: float, usual: float | None, delay: float
) -> None:
    async def scenario() -> float:
        wait = Wait("arn", waiter_delay=60)
        wait.began -= age
        return wait.delay(usual)

    assert asyncio.run(scenario()) == pytest.approx(delay, abs=0.1)


def test_an_error_of_the_client_is_raised_if_it_is_no_missing_execution() -> None:
    account = Account(1)
    account.faults = [client_error("ValidationException")]

    async def scenario() -> dict[str, Any]:
        (task,) = waits(account, account.arns)
        event: dict[str, Any] = await task
        return event

    assert "ValidationException" in asyncio.run(scenario())["message"]
