"""A run whose data have not come yet, through a real Airflow."""

from __future__ import annotations

import pytest

from stack.bootstrap import upload
from tests.e2e.project.conftest import Airflow
from tests.waiting import until

pytestmark = pytest.mark.thorough

DAY = {"IntervalStart": "2026-02-01T00:00:00Z", "IntervalEnd": "2026-02-02T00:00:00Z", "MseThreshold": 30}


def rows(airflow: Airflow) -> bytes:
    key = "abalone/data/train/dt=2026-01-01/abalone.csv"
    body: bytes = airflow.client("s3").get_object(Bucket=airflow.settings.bucket, Key=key)["Body"].read()
    return body


def test_a_run_waits_for_its_partition_in_the_triggerer_and_reads_it(airflow: Airflow) -> None:
    run_id = airflow.api.trigger("abalone_train", DAY, run_id="e2e_late_partition")

    def states() -> dict[str, str | None]:
        tasks = airflow.api.task_instances("abalone_train", run_id)
        return {task["task_id"]: task["state"] for task in tasks}

    until(lambda: states()["select_inputs"] == "deferred", "the wait for the partition")
    assert states()["start_pipeline"] is None

    upload(airflow.settings, {"train/dt=2026-02-01/abalone.csv": rows(airflow)})
    run = airflow.finished("abalone_train", run_id)
    assert run.state == "success"
    record = airflow.api.xcom("abalone_train", run_id, "wait_for_pipeline", key="execution")
    parameters = record["parameters"]
    bucket = airflow.settings.bucket
    assert parameters["InputData"] == f"s3://{bucket}/abalone/data/train/dt=2026-02-01/"
    assert parameters["OutputPrefix"] == f"s3://{bucket}/abalone/runs/dt=2026-02-01"
    # The UI's rendered field of the start shows the same.
    tasks = airflow.api.task_instances("abalone_train", run_id)
    (start,) = [task for task in tasks if task["task_id"] == "start_pipeline"]
    assert start["rendered_fields"]["effective_parameters"] == parameters
    assert record["instance_seconds"] > 0


def test_a_run_whose_partition_is_missing_is_skipped_where_the_dag_says_so(airflow: Airflow) -> None:
    day = {"IntervalStart": "2026-04-01T00:00:00Z", "IntervalEnd": "2026-04-02T00:00:00Z"}
    before = airflow.executions("partitioned")
    run = airflow.finished("partitioned", airflow.api.trigger("partitioned", day, run_id="e2e_no_partition"))
    assert run.state == "success"
    assert run.tasks.pop("steps.steps_ended") == "success"
    # There is no execution to show.
    assert {task: state for task, state in run.tasks.items() if state != "skipped"} == {
        "upsert_pipeline": "success",
    }
    assert {"select_inputs", "start_pipeline", "wait_for_pipeline"} < run.tasks.keys()
    assert "dt=2026-04-01" in airflow.api.log("partitioned", run.run_id, "select_inputs")
    assert airflow.executions("partitioned") == before
