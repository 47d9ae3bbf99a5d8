"""The sweep DAG in a real Airflow: it tells orphans from what is watched and from other deployments' own."""

from __future__ import annotations

import re
from typing import Any

import pytest

from sagemaker_pipelines.task.logical_start import LogicalStart
from stack.notifications import receive
from tests.e2e.crash.harness import PIPELINE, Harness

pytestmark = pytest.mark.thorough

SWEEP = "sagemaker_sweep"
KEPT = "keep_deferred"


def sweep(harness: Harness, **conf: Any) -> tuple[dict[str, Any], str]:
    """Return the report of one run of the DAG, and its log."""
    harness.api.unpause(SWEEP)
    run_id = harness.api.trigger(SWEEP, {"min_age_minutes": 0, **conf})
    state = harness.until(
        lambda: (found := harness.api.run(SWEEP, run_id)["state"]) in ("success", "failed") and found,
        "the sweep",
    )
    log = harness.api.log(SWEEP, run_id, "sweep")
    assert state == "success", log
    return harness.api.xcom(SWEEP, run_id, "sweep"), log


def deferred(harness: Harness, dag_id: str) -> tuple[str, str]:
    """Return the run and the execution of a wait that the triggerer holds."""
    run_id = harness.trigger(dag_id)
    harness.until(lambda: harness.task(dag_id, run_id, "wait")["state"] == "deferred", "the deferral")
    (execution,) = harness.executions(run_id)
    return run_id, str(execution["PipelineExecutionArn"])


def left_by(harness: Harness, new_state: str) -> tuple[str, str]:
    """Return the run and the execution of a wait that was marked and may not stop anything."""
    run_id, arn = deferred(harness, KEPT)
    harness.patch(f"/dags/{KEPT}/dagRuns/{run_id}/taskInstances/wait", {"new_state": new_state})
    harness.until(lambda: harness.api.run(KEPT, run_id)["state"] in ("success", "failed"), "the run's end")
    return run_id, arn


def delete_run(harness: Harness, dag_id: str, run_id: str) -> None:
    assert harness.api.call("DELETE", f"/dags/{dag_id}/dagRuns/{run_id}") == {}


def of_another_airflow(harness: Harness, *, run_id: str, airflow_id: str | None) -> str:
    """Return an execution that says the same of itself as ours do."""
    start = LogicalStart(
        dag_id=KEPT, run_id=run_id, task_id="start", map_index=-1, generation="f" * 32, airflow_id=airflow_id
    )
    answer = harness.sagemaker.start_pipeline_execution(
        PipelineName=PIPELINE, PipelineExecutionDescription=start.description
    )
    return str(answer["PipelineExecutionArn"])


def status(harness: Harness, arn: str) -> str:
    described = harness.sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
    return str(described["PipelineExecutionStatus"])


def test_it_reports_and_then_stops_exactly_what_this_airflow_left(harness: Harness) -> None:
    marked_run, marked = left_by(harness, "success")
    deleted_run, deleted = left_by(harness, "failed")
    delete_run(harness, KEPT, deleted_run)
    watching_run, watched = deferred(harness, "sensor_deferred")
    foreign = [
        of_another_airflow(harness, run_id=marked_run, airflow_id="0123456789abcdef"),
        of_another_airflow(harness, run_id="manual__elsewhere", airflow_id=None),
    ]
    try:
        report, log = sweep(harness)
        reasons = {item["pipeline_execution_arn"]: item["reason"] for item in report["orphans"]}
        assert reasons[marked] == "its DAG run has ended"
        assert reasons[deleted] == "its DAG run does not exist (any longer)"
        assert watched not in reasons
        assert report["watched"] >= 1
        assert set(foreign) <= {item["pipeline_execution_arn"] for item in report["foreign"]}
        assert re.search(rf"orphan .*{marked}", log)
        assert {status(harness, arn) for arn in (marked, deleted, watched, *foreign)} == {"Executing"}

        sweep(harness, stop_orphans=True)
        assert {status(harness, arn) for arn in (marked, deleted)} == {"Stopping"}
        assert {status(harness, arn) for arn in (watched, *foreign)} == {"Executing"}
        for arn in (marked, deleted):
            harness.release(arn)
            assert harness.endpoint.wait(arn)["PipelineExecutionStatus"] == "Stopped"
        assert harness.end("sensor_deferred", watching_run) == "success"
    finally:
        for arn in (marked, deleted, watched, *foreign):
            harness.release(arn)


def test_what_began_just_now_is_too_young(harness: Harness) -> None:
    _, arn = left_by(harness, "success")
    try:
        report, _ = sweep(harness, min_age_minutes=60, stop_orphans=True)
        assert report["young"] >= 1
        assert report["orphans"] == []
        assert status(harness, arn) == "Executing"
    finally:
        harness.release(arn)


def test_orphans_are_told_to_the_notification_target(harness: Harness) -> None:
    _, arn = left_by(harness, "success")
    try:
        sweep(harness)
        told: list[dict[str, Any]] = []

        def is_told() -> bool:
            told.extend(receive(harness.settings))
            return any(arn in message["Message"] for message in told)

        harness.until(is_told, "the notification")
    finally:
        harness.release(arn)
