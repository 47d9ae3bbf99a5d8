"""What a user's or Airflow's own kill does to the execution, by the REST actions behind the UI's buttons."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

import pytest

from tests.e2e.crash.harness import SECOND_TRIGGERER, TRIGGERER, Harness

pytestmark = pytest.mark.thorough

SYNC, DEFERRED = "sensor_sync", "sensor_deferred"
Started = tuple[str, str]


def waiting(harness: Harness, dag_id: str, task_id: str = "wait") -> str:
    """Start a run and return its id once its task watches the execution."""
    run_id = harness.trigger(dag_id, point="waiting", task=task_id)
    if "deferred" in dag_id or dag_id == "dagrun_timeout":
        harness.until(lambda: harness.task(dag_id, run_id, task_id)["state"] == "deferred", "the deferral")
        time.sleep(1.5)  # the triggerer takes triggers up once a second
    else:
        harness.processes_at(run_id)
    return run_id


def stops(harness: Harness, run_id: str) -> None:
    harness.until(lambda: harness.statuses(run_id) == ["Stopping"], "Stopping", timeout=30)


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
    harness.until(lambda: harness.statuses(run_id) == ["Executing", "Stopping"], "two executions", timeout=45)
    assert harness.end(dag_id, run_id) == "success"
    assert len(harness.executions(run_id)) == 2
    harness.clean(dag_id, run_id)


@pytest.mark.parametrize(
    "dag_id", ["dagrun_timeout", "dagrun_timeout_sync", "timeout_sync", "timeout_deferred"]
)
def test_a_timeout_of_the_run_or_the_wait_stops_the_execution(harness: Harness, dag_id: str) -> None:
    run_id = waiting(harness, dag_id)
    stops(harness, run_id)
    harness.until(lambda: harness.api.run(dag_id, run_id)["state"] == "failed", "the run to fail")
    harness.clean(dag_id, run_id)


@pytest.mark.parametrize("dag_id", ["keep_sync", "keep_deferred"])
def test_without_stop_on_kill_the_execution_runs_on(harness: Harness, dag_id: str) -> None:
    run_id = waiting(harness, dag_id)
    fail_task(harness, dag_id, run_id)
    time.sleep(12)  # Airflow tells a task within 5 s, and kills its process 5 s later
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
    time.sleep(10)
    assert harness.statuses(run_id) == ["Executing"]
    assert harness.end(DEFERRED, run_id) == "success"


def test_a_triggerer_that_froze_until_its_triggers_moved_stops_nothing(harness: Harness) -> None:
    run_id = waiting(harness, DEFERRED)
    harness.signal_family(TRIGGERER, signal.SIGSTOP)
    try:
        harness.start(SECOND_TRIGGERER, kind=TRIGGERER)
        # Twice the health-check threshold of the harness.
        time.sleep(14)
    finally:
        harness.signal_family(TRIGGERER, signal.SIGCONT)
    time.sleep(5)
    assert harness.statuses(run_id) == ["Executing"]
    assert harness.end(DEFERRED, run_id) == "success"
    harness.stack.processes.stop([SECOND_TRIGGERER])
