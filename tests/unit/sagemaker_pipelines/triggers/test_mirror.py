"""Mirrors: each ends as its step ends, once nothing can change that any more."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.triggers.base import TriggerEvent

from sagemaker_pipelines.airflow_internals import RuntimeTaskInstance
from sagemaker_pipelines.aws.pacing import delay_after
from sagemaker_pipelines.aws.steps import Step
from sagemaker_pipelines.links.pipeline import SageMakerStepLogLink
from sagemaker_pipelines.triggers import mirror, poller, room, step_lists
from sagemaker_pipelines.triggers.mirror import SageMakerStepMirrorTrigger
from sagemaker_pipelines.triggers.pipeline import SageMakerPipelineExecutionTrigger
from sagemaker_pipelines.triggers.waits import Wait
from tests.unit.sagemaker_pipelines.aws.test_watch import client_error
from tests.unit.sagemaker_pipelines.samples import ARN, PIPELINE_ARN
from tests.unit.sagemaker_pipelines.stand_in import StandIn
from tests.waiting import GENEROUS_SECONDS

START = datetime(2026, 11, 23, 7, tzinfo=UTC)


class Account(StandIn):
    """An execution whose status and steps a test changes, and a count of what is asked."""

    def __init__(self, status: str = "Executing", *steps: Step) -> None:
        super().__init__()
        self.status = status
        self.steps = list(steps)
        self.calls: list[str] = []
        self.listed: list[str] = []
        self.errors: list[Exception] = []

    def describe_execution(self, arn: str) -> dict[str, Any]:
        self.calls.append("describe")
        return {"PipelineExecutionStatus": self.status, "CreationTime": START}

    def list_steps(self, arn: str) -> list[Step]:
        self.calls.append("steps")
        self.listed.append(arn)
        if self.errors:
            raise self.errors.pop()
        return list(self.steps)


class Instance:
    """The task instance of a mirror; the wait's state is what the test says."""

    dag_id, task_id, run_id, map_index = "train", "steps.Train", "run", -1

    def __init__(self, arn: str | None = ARN) -> None:
        self.arn = arn

    def xcom_pull(self, *, task_ids: str, map_indexes: int) -> str | None:
        assert (task_ids, map_indexes) == ("start_pipeline", -1)
        return self.arn


class Run:
    """What the mirrors of a DAG run see: the account, and the state of the task that waits."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.wait: str | None = "deferred"
        self.asked = 0

    def get_task_states(self, **asked: Any) -> dict[str, dict[str, str | None]]:
        assert asked["task_ids"] == ["wait_for_pipeline"]
        self.asked += 1
        return {"run": {"wait_for_pipeline": self.wait}}

    def mirror(
        self, step: str = "Train", *, arn: str | None = ARN, **more: Any
    ) -> asyncio.Task[TriggerEvent]:
        trigger = SageMakerStepMirrorTrigger(
            step_name=step, start_task_id="start_pipeline", wait_task_id="wait_for_pipeline", **more
        )
        trigger.task_instance = Instance(arn)  # type: ignore[assignment]
        trigger.hook = lambda: self.account  # type: ignore[method-assign]

        async def first() -> TriggerEvent:
            async for event in trigger.run():
                return event
            raise AssertionError("no event")

        return asyncio.ensure_future(first())


LISTS_PER_SECOND = step_lists.lists_per_second


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poller, "SECONDS_PER_PAGE", 0.02)
    monkeypatch.setattr(step_lists, "lists_per_second", lambda: 100.0)
    monkeypatch.setattr(step_lists, "delay_after", lambda age, longest: 0.02)
    monkeypatch.setattr("sagemaker_pipelines.triggers.waits.delay_after", lambda age, longest: 0.02)
    monkeypatch.setattr(mirror, "ASK_SECONDS", (0.05, 0.05))
    monkeypatch.setattr(room, "_LOOK_SECONDS", 0.02)


@pytest.fixture
def scenario(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    def play(account: Account, story: Callable[[Run], Coroutine[Any, Any, Any]]) -> Any:
        run = Run(account)
        monkeypatch.setattr(RuntimeTaskInstance, "get_task_states", staticmethod(run.get_task_states))
        return asyncio.run(asyncio.wait_for(story(run), GENEROUS_SECONDS))

    return play


async def until(ready: Callable[[], bool]) -> None:
    while not ready():
        await asyncio.sleep(0.01)


def step(status: str, name: str = "Train", **fields: Any) -> Step:
    return Step(name=name, status=status, type=fields.pop("type", "Training"), **fields)


FAIL = step("Failed", "Reject", type="Fail", reason="MSE > 3.0")


def test_it_succeeds_with_its_step_while_the_execution_goes_on(scenario: Callable[..., Any]) -> None:
    account = Account("Executing", step("Executing"))

    async def story(run: Run) -> TriggerEvent:
        task = run.mirror()
        await until(lambda: "steps" in account.calls)
        assert not task.done()
        account.steps = [step("Succeeded", attempts=2, is_cache_hit=True, source=ARN)]
        return await task

    event = scenario(account, story)
    assert event.payload == "success"
    assert event.xcoms["step"] == {
        "name": "Train", "status": "Succeeded", "type": "Training", "attempts": 2,
        "is_cache_hit": True, "source": ARN,
    }  # fmt: skip


def test_it_leaves_the_address_of_its_log_where_airflows_ui_looks(scenario: Callable[..., Any]) -> None:
    job = "arn:aws:sagemaker:us-east-1:123456789012:training-job/job-1"
    account = Account("Succeeded", step("Succeeded", arn=job))

    async def story(run: Run) -> TriggerEvent:
        return await run.mirror()

    event = scenario(account, story)
    links = {key: value for key, value in event.xcoms.items() if key != "step"}
    # There is no link to Studio without its domain.
    assert links == {
        SageMakerStepLogLink().xcom_key: "https://console.aws.amazon.com/cloudwatch/home?region=us-east-1"
        "#logsV2:log-groups/log-group/$252Faws$252Fsagemaker$252FTrainingJobs$3FlogStreamNameFilter$3Djob-1"
    }


@pytest.mark.parametrize(
    ("status", "steps", "wait", "name", "expected"),
    [
        # Never begun: the branch not taken.
        ("Succeeded", [], "success", "Train", "skipped"),
        ("Failed", [FAIL], "success", "Train", "skipped"),
        ("Failed", [], "failed", "Train", "skipped"),
        # Rejected by the gate: the Fail step has done its work.
        ("Failed", [FAIL], "success", "Reject", "success"),
        ("Failed", [FAIL], "failed", "Reject", "failed"),
        # Failed for good, and tolerated: red either way.
        ("Failed", [step("Failed", reason="exit code 1")], "failed", "Train", "failed"),
        ("CompletedWithFailures", [step("Failed")], "success", "Train", "failed"),
        # Stopped by somebody, and stopped because another step rejected the model.
        ("Stopped", [step("Stopped")], "failed", "Train", "failed"),
        ("Failed", [step("Stopped"), FAIL], "success", "Train", "skipped"),
        # Left out by a selective execution.
        ("Succeeded", [step("Succeeded", is_taken_over=True, source=ARN)], "success", "Train", "skipped"),
        ("Failed", [step("Succeeded")], "failed", "Train", "success"),
    ],
)  # fmt: skip
def test_it_ends_as_its_step_did(
    scenario: Callable[..., Any], status: str, steps: list[Step], wait: str, name: str, expected: str
) -> None:
    async def story(run: Run) -> TriggerEvent:
        run.wait = wait
        return await run.mirror(name)

    assert scenario(Account(status, *steps), story).payload == expected


def test_a_failed_step_stays_unfinished_while_the_wait_may_resume_the_execution(
    scenario: Callable[..., Any],
) -> None:
    account = Account("Failed", step("Failed"))

    async def story(run: Run) -> TriggerEvent:
        task = run.mirror()
        for run.wait in ("running", "up_for_retry", None):
            asked = run.asked
            await until(lambda: run.asked > asked + 1)  # noqa: B023 - used at once
            assert not task.done()
        # The retry of the wait resumes it, and this time it succeeds.
        account.status, account.steps, run.wait = "Executing", [step("Executing")], "deferred"
        listed = len(account.listed)
        await until(lambda: len(account.listed) > listed + 1)
        assert not task.done()
        account.status, account.steps = "Succeeded", [step("Succeeded")]
        return await task

    assert scenario(account, story).payload == "success"


def test_what_the_wait_resumed_in_its_last_moment_counts(
    scenario: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The steps are read once more after the wait has ended."""
    account = Account("Failed", step("Failed"))

    async def story(run: Run) -> TriggerEvent:
        states = run.get_task_states

        def ended(**asked: Any) -> Any:
            account.status, account.steps, run.wait = "Succeeded", [step("Succeeded")], "success"
            return states(**asked)

        monkeypatch.setattr(RuntimeTaskInstance, "get_task_states", staticmethod(ended))
        return await run.mirror()

    assert scenario(account, story).payload == "success"


def test_without_an_execution_there_is_nothing_to_show(scenario: Callable[..., Any]) -> None:
    account = Account()

    async def story(run: Run) -> TriggerEvent:
        return await run.mirror(arn=None)

    assert scenario(account, story).payload == "skipped"
    assert account.calls == []


def test_an_error_that_stays_ends_the_mirror_and_not_the_wait(scenario: Callable[..., Any]) -> None:
    account = Account("Executing", step("Executing"))
    account.errors = [client_error("AccessDeniedException")] * 1_000

    async def story(run: Run) -> TriggerEvent:
        waiting = SageMakerPipelineExecutionTrigger(pipeline_execution_arn=ARN, waiter_delay=0.02)
        waiting.hook = lambda: account  # type: ignore[method-assign]
        wait = asyncio.ensure_future(anext(waiting.run()))
        event = await run.mirror()
        assert not wait.done()
        account.status = "Succeeded"
        assert (await wait).payload["event"] == "ended"
        return event

    assert scenario(account, story).payload == "skipped"


def test_an_error_that_passes_ends_nothing(
    scenario: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step_lists, "backoff", lambda delay, faults: 0.02)
    account = Account("Executing", step("Succeeded"))
    account.errors = [client_error("ThrottlingException"), ConnectionError("reset")]

    async def story(run: Run) -> TriggerEvent:
        return await run.mirror()

    assert scenario(account, story).payload == "success"
    assert account.errors == []


def test_the_mirrors_of_an_execution_ask_no_more_than_one(scenario: Callable[..., Any]) -> None:
    account = Account("Executing", *[step("Executing", f"Step{i}") for i in range(20)])

    async def story(run: Run) -> int:
        tasks = [run.mirror(f"Step{i}") for i in range(20)]
        await until(lambda: len(account.listed) > 5)
        described, listed = account.calls.count("describe"), len(account.listed)
        for task in tasks:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks)
        return max(described, listed)

    assert scenario(account, story) < 20


def test_executions_that_have_ended_are_listed_first_and_the_young_before_the_old() -> None:
    def arn(name: str) -> str:
        return f"{PIPELINE_ARN}/execution/{name}"

    async def story() -> list[str | None]:
        lists = step_lists.StepLists("connection")
        order = []
        for name, age, status in (
            ("old", 7_200, "Executing"),
            ("young", 40, "Executing"),
            ("ended", 9, "Failed"),
        ):
            wait = Wait(arn(name), 30, "Train")
            wait.began -= age
            wait.status = status
            lists._waits.append(wait)
        for _ in lists._waits:
            due, _seconds = lists._next()
            order.append(due)
            lists._listed[str(due)] = time.monotonic()
            for wait in lists._waits:
                wait.steps_are_final = wait.has_ended and wait.pipeline_execution_arn in order
        return order

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(step_lists, "delay_after", delay_after)
        patch.setattr(time, "monotonic", iter(range(1_000, 2_000)).__next__)
        assert asyncio.run(story()) == [arn("ended"), arn("young"), arn("old")]


def test_mirrors_leave_a_triggerer_that_is_nearly_full_and_the_newest_go_first(
    scenario: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    account = Account("Executing", *[step("Executing", f"Step{i}") for i in range(3)])
    tasks: list[asyncio.Task[TriggerEvent]] = []
    others = 5
    monkeypatch.setattr(room, "running_triggers", lambda: others + sum(not task.done() for task in tasks))
    monkeypatch.setattr("airflow.providers.common.compat.sdk.conf.getint", lambda *_, **__: 10)
    monkeypatch.setattr(mirror, "ROOM_SECONDS", 0.02)

    async def story(run: Run) -> list[bool]:
        nonlocal others
        tasks.extend(run.mirror(f"Step{i}") for i in range(3))
        await until(lambda: len(account.listed) > 3)
        assert not any(task.done() for task in tasks)
        others = 8
        await until(lambda: sum(task.done() for task in tasks) == 2)
        listed = len(account.listed)
        await until(lambda: len(account.listed) > listed + 3)
        gone = [task.done() for task in tasks]
        tasks[0].cancel()
        assert [task.result().payload for task in tasks[1:]] == ["skipped", "skipped"]
        return gone

    assert scenario(account, story) == [False, True, True]


def test_a_foreach_counts_its_children(
    scenario: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    children = [step("Succeeded", "Fit-0"), step("Executing", "Fit-1"), step("Succeeded", "Fitting-1")]
    account = Account("Executing", step("Executing", "Each", type="ForEach"), *children)

    async def story(run: Run) -> TriggerEvent:
        task = run.mirror("Each", body_steps=["Fit"])
        await until(lambda: len(account.listed) > 1)
        account.steps = [step("Succeeded", "Each"), step("Succeeded", "Fit-0"), step("Succeeded", "Fit-1")]
        return await task

    assert scenario(account, story).payload == "success"
    shown = capsys.readouterr().out
    assert "Step Each: Executing; 1 of 2 children succeeded" in shown
    assert "Step Each: Succeeded; 2 of 2 children succeeded" in shown


def test_it_survives_serialization() -> None:
    trigger = SageMakerStepMirrorTrigger(
        step_name="Train",
        start_task_id="start",
        wait_task_id="wait",
        body_steps=["Fit"],
        aws_conn_id="aws_prod",
        region_name="eu-west-1",
        verify=False,
        botocore_config={"read_timeout": 3},
    )
    path, arguments = trigger.serialize()
    assert path == "sagemaker_pipelines.triggers.mirror.SageMakerStepMirrorTrigger"
    assert SageMakerStepMirrorTrigger(**arguments).serialize() == (path, arguments)


def test_no_call_is_made_while_the_wait_rests_between_its_attempts(scenario: Callable[..., Any]) -> None:
    account = Account("Failed", step("Failed"))

    async def story(run: Run) -> list[str]:
        run.wait = "up_for_retry"
        task = run.mirror()
        await until(lambda: run.asked > 1)
        before, asked = len(account.calls), run.asked
        await until(lambda: run.asked > asked + 5)
        calls = account.calls[before:]
        run.wait = "failed"
        await task
        return calls

    assert scenario(account, story) == []


def test_a_mirror_that_awaits_the_retry_gives_way_too(
    scenario: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "ASK_SECONDS", (1e6, 1e6))
    monkeypatch.setattr(mirror, "ROOM_SECONDS", 0.02)
    monkeypatch.setattr("airflow.providers.common.compat.sdk.conf.getint", lambda *_, **__: 10)
    running = 5
    monkeypatch.setattr(room, "running_triggers", lambda: running)

    async def story(run: Run) -> TriggerEvent:
        nonlocal running
        run.wait = "up_for_retry"
        task = run.mirror()
        await until(lambda: run.asked > 0)
        running = 10
        return await task

    assert scenario(Account("Failed", step("Failed")), story).payload == "skipped"


def test_the_status_is_not_polled_while_a_mirror_waits_for_the_last_list(
    scenario: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    look = poller.ExecutionPoller._look

    async def counted(self: poller.ExecutionPoller, *arguments: Any) -> None:
        nonlocal looks
        looks += 1
        await look(self, *arguments)

    monkeypatch.setattr(poller.ExecutionPoller, "_look", counted)
    monkeypatch.setattr(step_lists, "backoff", lambda delay, faults: 0.02)
    account = Account("Succeeded", step("Succeeded"))
    account.steps = []
    account.errors = [client_error("ThrottlingException")] * 20

    async def story(run: Run) -> TriggerEvent:
        return await run.mirror()

    assert scenario(account, story).payload == "skipped"
    assert looks == 1


def test_an_execution_whose_list_fails_does_not_hold_up_the_others(
    scenario: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step_lists, "backoff", lambda delay, faults: 1e6)
    broken, whole = f"{PIPELINE_ARN}/execution/broken", f"{PIPELINE_ARN}/execution/whole"

    class Half(Account):
        def list_steps(self, arn: str) -> list[Step]:
            if arn == broken:
                self.listed.append(arn)
                raise client_error("InternalFailure")
            return super().list_steps(arn)

    account = Half("Succeeded", step("Succeeded"))

    async def story(run: Run) -> TriggerEvent:
        task = run.mirror(arn=broken)
        await until(lambda: broken in account.listed)
        event = await run.mirror(arn=whole)
        task.cancel()
        return event

    assert scenario(account, story).payload == "success"


def test_a_mirror_of_an_execution_that_has_ended_waits_an_hour_for_credentials(
    scenario: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sagemaker_pipelines.aws.pacing.PATIENCE_SECONDS", -1.0)
    account = Account("Succeeded", step("Succeeded"))
    account.errors = [client_error("ExpiredTokenException")] * 1_000

    async def story(run: Run) -> TriggerEvent:
        return await run.mirror()

    assert scenario(account, story).payload == "skipped"


def test_what_breaks_a_mirror_skips_it_instead_of_sending_it_to_a_worker(
    scenario: Callable[..., Any],
) -> None:
    account = Account("Failed", step("Exploded"))

    async def story(run: Run) -> TriggerEvent:
        run.wait = "failed"
        return await run.mirror()

    assert scenario(account, story).payload == "skipped"


def test_steps_that_were_listed_before_a_resume_are_not_final_after_it() -> None:
    wait = Wait(ARN, 30, "Train")
    wait.wake(status="Failed")
    wait.see_steps([step("Failed")], StandIn(), final=True)
    wait.wake(status="Executing")
    wait.wake(status="Failed")
    assert not wait.steps_are_final


def test_steps_that_are_listed_during_a_resume_are_not_final(scenario: Callable[..., Any]) -> None:
    account = Account("Failed", step("Failed"))
    lists = step_lists.StepLists("connection")

    async def story(run: Run) -> bool:
        wait = Wait(ARN, 30, "Train")
        wait.wake(status="Failed")
        lists._waits.append(wait)
        listing = asyncio.ensure_future(lists._list(ARN, lambda: account))
        await asyncio.sleep(0)
        wait.wake(status="Executing")
        await listing
        return wait.steps_are_final

    assert scenario(account, story) is False


def test_mirrors_cause_no_poll_of_a_status_beside_those_of_the_wait() -> None:
    async def story() -> list[Wait]:
        watched = poller.ExecutionPoller("connection", "train", step_lists.StepLists("connection"))
        other = f"{PIPELINE_ARN}/execution/other"
        watched._waits = [Wait(ARN, 300), Wait(ARN, 30, "Train"), Wait(other, 30, "Train")]
        return [wait for wait in watched._waits if wait in watched._pacemakers()]

    paces = asyncio.run(story())
    assert [(wait.waiter_delay, wait.step_name) for wait in paces] == [(300, None), (30, "Train")]


@pytest.mark.parametrize(("value", "used"), [("2.5", 2.5), ("0", 0.01), ("often", 1.0)])
def test_an_option_that_is_no_number_does_not_stop_the_lists(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, value: str, used: float
) -> None:
    monkeypatch.setenv("AIRFLOW__SAGEMAKER_PIPELINES__STEP_LISTS_PER_SECOND", value)
    assert LISTS_PER_SECOND() == used
    assert ("is not a number" in caplog.text) is (value == "often")
