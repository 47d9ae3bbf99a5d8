"""Stop, retry, recovery and shutdown."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from sagemaker_local_runtime.engine.execution import INTERRUPTED
from sagemaker_local_runtime.engine.steps.base import StepOutcome, StepRun
from sagemaker_local_runtime.exceptions import ResourceLimitError, ValidationError
from tests.runtime.engine.definitions import pipeline, processing
from tests.runtime.engine.doubles import Engine, FakeJobs, fail, succeed, token, until_stopped
from tests.waiting import GENEROUS_SECONDS, until

CHAIN = pipeline(processing("a"), processing("b", "a"), processing("c", "b"))


def wait_for(condition: threading.Event) -> None:
    assert condition.wait(GENEROUS_SECONDS)


def stop(engine: Engine, arn: str, client_token: str | None = None) -> None:
    engine.call("StopPipelineExecution", PipelineExecutionArn=arn, ClientRequestToken=client_token or token())


def retry(engine: Engine, arn: str, client_token: str | None = None) -> None:
    engine.call(
        "RetryPipelineExecution", PipelineExecutionArn=arn, ClientRequestToken=client_token or token()
    )


def running(jobs: FakeJobs, name: str) -> threading.Event:
    """Make a step run until it is stopped; the event tells that it has started."""
    started = threading.Event()

    def behaviour(step_run: StepRun) -> StepOutcome:
        started.set()
        return until_stopped(step_run)

    jobs.behaviours[name] = behaviour
    return started


def test_stop_ends_running_steps_and_starts_no_other(engine: Engine, jobs: FakeJobs) -> None:
    started = running(jobs, "b")
    engine.create(CHAIN)
    arn = engine.start()
    wait_for(started)
    stop(engine, arn)
    assert engine.ended(arn)["PipelineExecutionStatus"] == "Stopped"
    assert engine.statuses(arn) == {"a": "Succeeded", "b": "Stopped"}
    assert ("execution", "Executing", "Stopping") in engine.events.seen
    assert ("b", "Executing", "Stopping") in engine.events.seen


def test_a_stopping_execution_says_so_until_its_steps_have_ended(engine: Engine, jobs: FakeJobs) -> None:
    release, started = threading.Event(), threading.Event()

    def slow_to_stop(step_run: StepRun) -> StepOutcome:
        started.set()
        assert step_run.stop.wait(GENEROUS_SECONDS)
        assert release.wait(GENEROUS_SECONDS)
        return StepOutcome(status="Stopped")

    jobs.behaviours["a"] = slow_to_stop
    engine.create(CHAIN)
    arn = engine.start()
    wait_for(started)
    stop(engine, arn)
    assert engine.describe(arn)["PipelineExecutionStatus"] == "Stopping"
    assert engine.statuses(arn) == {"a": "Stopping"}
    with pytest.raises(ValidationError, match="Only pipelines with 'Executing' status can be stopped"):
        stop(engine, arn)
    release.set()
    assert engine.ended(arn)["PipelineExecutionStatus"] == "Stopped"


def test_a_repeated_stop_token_is_answered_again(engine: Engine, jobs: FakeJobs) -> None:
    started = running(jobs, "a")
    engine.create(CHAIN)
    arn = engine.start()
    wait_for(started)
    same = token()
    stop(engine, arn, same)
    engine.ended(arn)
    stop(engine, arn, same)
    with pytest.raises(ValidationError, match="Only pipelines with 'Executing' status can be stopped"):
        stop(engine, arn)


def test_retry_keeps_the_arn_and_what_succeeded(engine: Engine, jobs: FakeJobs) -> None:
    jobs.behaviours["b"] = fail
    engine.create(CHAIN)
    arn = engine.start()
    assert engine.ended(arn)["PipelineExecutionStatus"] == "Failed"
    first = engine.steps(arn)["a"]
    jobs.behaviours["b"] = succeed
    retry(engine, arn)
    ended = engine.ended(arn)
    assert ended["PipelineExecutionStatus"] == "Succeeded"
    assert "FailureReason" not in ended
    assert jobs.order() == ["a", "b", "b", "c"]
    assert engine.steps(arn)["a"] == first
    executions = [event[1:] for event in engine.events.seen if event[0] == "execution"]
    assert executions == [
        (None, "Executing"),
        ("Executing", "Failed"),
        ("Failed", "Executing"),
        ("Executing", "Succeeded"),
    ]


def test_retry_runs_again_what_ran_because_of_the_failure(engine: Engine, jobs: FakeJobs) -> None:
    jobs.behaviours = {"a": fail, "c": fail}
    engine.create(
        pipeline(processing("a"), processing("notify", {"Step": "a", "Trigger": "Failed"}), processing("c"))
    )
    arn = engine.start()
    engine.ended(arn)
    jobs.behaviours = {}
    retry(engine, arn)
    assert engine.ended(arn)["PipelineExecutionStatus"] == "Succeeded"
    assert engine.statuses(arn) == {"a": "Succeeded", "c": "Succeeded"}


def test_a_repeated_retry_token_starts_nothing(engine: Engine, jobs: FakeJobs) -> None:
    jobs.behaviours["a"] = fail
    engine.create(CHAIN)
    arn = engine.start()
    engine.ended(arn)
    same = token()
    retry(engine, arn, same)
    engine.ended(arn)
    retry(engine, arn, same)
    engine.ended(arn)
    assert jobs.order() == ["a", "a"]


def test_only_failed_and_stopped_executions_are_retried(engine: Engine, jobs: FakeJobs) -> None:
    engine.create(CHAIN)
    arn = engine.start()
    engine.ended(arn)
    with pytest.raises(ValidationError, match="'Failed' or 'Stopped'"):
        retry(engine, arn)


def test_a_stopped_execution_can_be_retried(engine: Engine, jobs: FakeJobs) -> None:
    started = running(jobs, "b")
    engine.create(CHAIN)
    arn = engine.start()
    wait_for(started)
    stop(engine, arn)
    engine.ended(arn)
    jobs.behaviours = {}
    retry(engine, arn)
    assert engine.ended(arn)["PipelineExecutionStatus"] == "Succeeded"


def test_an_execution_can_be_retried_the_moment_it_shows_failed(engine: Engine, jobs: FakeJobs) -> None:
    engine.create(pipeline(processing("a")))
    for _ in range(20):
        jobs.behaviours["a"] = fail
        arn = engine.start()
        while engine.describe(arn)["PipelineExecutionStatus"] == "Executing":
            pass
        jobs.behaviours = {}
        retry(engine, arn)
        assert engine.ended(arn)["PipelineExecutionStatus"] == "Succeeded"


def test_the_quota_of_concurrent_executions(tmp_path: Path, jobs: FakeJobs) -> None:
    engine = Engine(tmp_path, limit=2)
    jobs.behaviours["a"] = until_stopped
    engine.create(CHAIN)
    first, second = engine.start(), engine.start()
    with pytest.raises(ResourceLimitError, match="is 2 Executions, with current utilization of 2"):
        engine.start()
    stop(engine, first)
    engine.ended(first)
    third = engine.start()
    for arn in (second, third):
        stop(engine, arn)
        engine.ended(arn)


def test_what_a_killed_process_left_running_is_failed_with_the_reason_and_retried(
    tmp_path: Path, jobs: FakeJobs
) -> None:
    before = Engine(tmp_path)
    started = running(jobs, "b")
    before.create(CHAIN)
    arn = before.start()
    wait_for(started)

    after = Engine(tmp_path)  # on the same data directory, the first one never having ended
    after.runtime.executions.recover()
    described = after.describe(arn)
    assert described["PipelineExecutionStatus"] == "Failed"
    assert described["FailureReason"] == INTERRUPTED
    assert after.statuses(arn) == {"a": "Succeeded", "b": "Failed"}
    assert after.steps(arn)["b"]["FailureReason"] == INTERRUPTED
    jobs.behaviours = {}
    retry(after, arn)
    assert after.ended(arn)["PipelineExecutionStatus"] == "Succeeded"
    assert jobs.order() == ["a", "b", "b", "c"]
    before.runtime.executions.shutdown()


def test_shutdown_ends_the_threads_and_leaves_failed_executions(tmp_path: Path, jobs: FakeJobs) -> None:
    level = threading.active_count()
    engine = Engine(tmp_path)
    started = running(jobs, "a")
    engine.create(CHAIN)
    arn = engine.start()
    wait_for(started)
    engine.runtime.executions.shutdown()
    assert engine.describe(arn)["PipelineExecutionStatus"] == "Failed"
    assert engine.describe(arn)["FailureReason"] == INTERRUPTED
    until(lambda: threading.active_count() <= level, "the threads to end")


def test_fifty_executions_at_once_end_and_their_threads_go(tmp_path: Path, jobs: FakeJobs) -> None:
    level = threading.active_count()
    engine = Engine(tmp_path, limit=50)
    engine.create(CHAIN)
    arns: list[str] = []
    starters = [threading.Thread(target=lambda: arns.append(engine.start())) for _ in range(50)]
    for starter in starters:
        starter.start()
    for starter in starters:
        starter.join(GENEROUS_SECONDS)
    assert {engine.ended(arn)["PipelineExecutionStatus"] for arn in arns} == {"Succeeded"}
    assert len(set(arns)) == 50
    until(lambda: threading.active_count() <= level, "the threads to end")
