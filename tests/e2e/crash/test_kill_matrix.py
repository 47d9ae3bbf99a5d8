"""What a user's or Airflow's own kill does to the execution, by the REST actions behind the UI's buttons."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from functools import partial

import pytest

from tests.e2e.crash.harness import SECOND_TRIGGERER, TRIGGERER, Harness

pytestmark = pytest.mark.thorough

SYNC, DEFERRED = "sensor_sync", "sensor_deferred"
SIBLING = "sibling"
TIMEOUTS = ("dagrun_timeout_sync", "dagrun_timeout_deferred", "timeout_sync", "timeout_deferred")
Started = tuple[str, str]


def waiting(harness: Harness, dag_id: str, task_id: str = "wait") -> str:
    """Start a run and return its id once its task watches the execution."""
    run_id = harness.trigger(dag_id, point="waiting", task=task_id)
    until_watched(harness, dag_id, run_id, task_id)
    return run_id


def until_watched(harness: Harness, dag_id: str, run_id: str, task_id: str = "wait") -> None:
    if "deferred" in dag_id:
        harness.until_deferred(dag_id, run_id, task_id)
    else:
        harness.processes_at(run_id)


def stops(harness: Harness, run_id: str) -> None:
    harness.until(lambda: harness.statuses(run_id) == ["Stopping"], "Stopping")


def mark(harness: Harness, dag_id: str, run_id: str, state: str, task_id: str = "wait") -> None:
    harness.patch(f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}", {"new_state": state})


def fail_task(harness: Harness, dag_id: str, run_id: str) -> None:
    mark(harness, dag_id, run_id, "failed")


def fail_run(harness: Harness, dag_id: str, run_id: str) -> None:
    harness.patch(f"/dags/{dag_id}/dagRuns/{run_id}", {"state": "failed"})


@pytest.mark.parametrize("dag_id", [SYNC, DEFERRED])
@pytest.mark.parametrize("action", [fail_task, fail_run])
def test_failing_the_task_or_the_run_stops_the_execution(
    harness: Harness, dag_id: str, action: Callable[[Harness, str, str], None]
) -> None:
    run_id = waiting(harness, dag_id)
    action(harness, dag_id, run_id)
    stops(harness, run_id)
    harness.clean(dag_id, run_id)


@pytest.mark.parametrize("dag_id", [SYNC, DEFERRED])
def test_clearing_the_wait_stops_the_execution_and_the_next_try_resumes_it(
    harness: Harness, dag_id: str
) -> None:
    run_id = waiting(harness, dag_id)
    harness.clear(dag_id, run_id, "wait")
    stops(harness, run_id)
    (execution,) = harness.executions(run_id)
    harness.release(execution["PipelineExecutionArn"])
    assert harness.end(dag_id, run_id) == "success"
    assert harness.statuses(run_id) == ["Succeeded"]


@pytest.mark.parametrize("dag_id", ["operator_sync", "operator_deferred"])
def test_clearing_the_start_stops_its_execution_and_starts_another(harness: Harness, dag_id: str) -> None:
    run_id = waiting(harness, dag_id, "start")
    harness.clear(dag_id, run_id, "start")
    harness.until(lambda: harness.statuses(run_id) == ["Executing", "Stopping"], "two executions")
    assert harness.end(dag_id, run_id) == "success"
    assert len(harness.executions(run_id)) == 2
    harness.clean(dag_id, run_id)


@pytest.mark.parametrize("dag_id", [SYNC, DEFERRED])
def test_clearing_the_start_leaves_its_execution_to_the_wait_that_watches_it(
    harness: Harness, dag_id: str
) -> None:
    run_id = waiting(harness, dag_id)
    harness.clear(dag_id, run_id, "start")
    harness.until(lambda: harness.statuses(run_id) == ["Executing"] * 2, "two executions")
    harness.until(lambda: harness.tries(run_id, "start") > 1, "the cleared start")
    harness.clean(dag_id, run_id)


def test_a_start_that_airflow_ends_after_its_success_keeps_its_execution(harness: Harness) -> None:
    """Its last calls take too long, as they do while the API server does not answer."""
    run_id = harness.trigger(SYNC, point="reported", task="start")
    harness.until_process_ended(run_id)
    assert harness.statuses(run_id) == ["Executing"]
    assert harness.end(SYNC, run_id) == "success"
    assert harness.statuses(run_id) == ["Succeeded"]


def test_clearing_the_start_stops_what_its_wait_has_left_running(harness: Harness) -> None:
    run_id = waiting(harness, "keep_deferred")
    fail_task(harness, "keep_deferred", run_id)
    harness.until(lambda: "stop_on_kill is off" in harness.trigger_log(run_id), "the trigger to be killed")
    harness.clear("keep_deferred", run_id, "start")
    harness.until(lambda: harness.statuses(run_id) == ["Executing", "Stopping"], "two executions")
    harness.clean("keep_deferred", run_id)


def test_a_clear_of_another_task_and_a_sigkill_keep_the_execution(harness: Harness) -> None:
    run_id = waiting(harness, "operator_sync", "start")
    harness.clear("operator_sync", run_id, SIBLING)
    assert harness.api.run("operator_sync", run_id)["state"] == "running"
    os.kill(harness.processes_at(run_id)["task"], signal.SIGKILL)
    harness.until(lambda: harness.tries(run_id, "start") > 1, "the next try")
    look = partial(harness.api.log, "operator_sync", run_id, "start", 2)
    harness.until(lambda: "Step Hold" in look(), "its first look")
    assert harness.statuses(run_id) == ["Executing"]
    assert harness.end("operator_sync", run_id) == "success"
    assert harness.statuses(run_id) == ["Succeeded"]


@pytest.fixture(scope="module")
def timing_out(harness: Harness) -> dict[str, str]:
    """Runs that wait already, by DAG; their timeouts are long beside the time that they needed for that."""
    runs = {dag_id: harness.trigger(dag_id, point="waiting", task="wait") for dag_id in TIMEOUTS}
    for dag_id, run_id in runs.items():
        until_watched(harness, dag_id, run_id)
    return runs


@pytest.mark.parametrize("dag_id", TIMEOUTS)
def test_a_timeout_of_the_run_or_the_wait_stops_the_execution(
    harness: Harness, timing_out: dict[str, str], dag_id: str
) -> None:
    run_id = timing_out[dag_id]
    stops(harness, run_id)
    harness.until(lambda: harness.api.run(dag_id, run_id)["state"] == "failed", "the run to fail")
    harness.clean(dag_id, run_id)


@pytest.mark.parametrize("dag_id", ["keep_sync", "keep_deferred"])
def test_without_stop_on_kill_the_execution_runs_on(harness: Harness, dag_id: str) -> None:
    run_id = waiting(harness, dag_id)
    fail_task(harness, dag_id, run_id)
    if dag_id == "keep_sync":
        harness.until_process_ended(run_id)
    else:
        harness.until(
            lambda: "stop_on_kill is off" in harness.trigger_log(run_id), "the trigger to be killed"
        )
    assert harness.statuses(run_id) == ["Executing"]
    harness.clean(dag_id, run_id)


def test_marking_a_deferred_wait_as_success_stops_the_execution(harness: Harness) -> None:
    run_id = waiting(harness, DEFERRED)
    mark(harness, DEFERRED, run_id, "success")
    stops(harness, run_id)
    harness.clean(DEFERRED, run_id)


def test_a_triggerer_that_is_restarted_stops_nothing(harness: Harness) -> None:
    run_id = waiting(harness, DEFERRED)
    harness.stack.processes.stop([TRIGGERER])
    harness.start(TRIGGERER)
    harness.until(lambda: len(harness.watched_by(run_id)) > 1, "the new triggerer to watch")
    assert harness.statuses(run_id) == ["Executing"]
    assert harness.end(DEFERRED, run_id) == "success"


def test_a_triggerer_that_froze_until_its_triggers_moved_stops_nothing(harness: Harness) -> None:
    run_id = waiting(harness, DEFERRED)
    with harness.frozen(TRIGGERER):
        harness.start(SECOND_TRIGGERER, kind=TRIGGERER)
        harness.until(lambda: len(harness.watched_by(run_id)) > 1, "the second triggerer to watch")
    harness.until(
        lambda: "another triggerer watches it" in harness.trigger_log(run_id), "the first to let go of it"
    )
    assert harness.statuses(run_id) == ["Executing"]
    assert harness.end(DEFERRED, run_id) == "success"
    harness.stack.processes.stop([SECOND_TRIGGERER])
