"""A backfill from Airflow's command line, which writes into its database without the API server."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator

import pytest

from stack.bootstrap import upload
from tests.e2e.project.conftest import Airflow, Run

pytestmark = pytest.mark.thorough

DAG = "partitioned"
DAYS = ("2026-03-01", "2026-03-02", "2026-03-03")
SECONDS = 180.0


@pytest.fixture
def paused(airflow: Airflow) -> Iterator[None]:
    with airflow.paused(DAG):
        yield


def create(airflow: Airflow, conf: dict[str, object]) -> subprocess.CompletedProcess[str]:
    """Run ``airflow backfill create``, again where another process had locked SQLite."""
    arguments = ["backfill", "create", "--dag-id", DAG, "--from-date", DAYS[0], "--to-date", DAYS[-1]]
    arguments += ["--max-active-runs", "2", "--reprocess-behavior", "none"]
    deadline = time.monotonic() + SECONDS
    while True:
        done = airflow.command(*arguments, "--dag-run-conf", json.dumps(conf))
        if "database is locked" not in done.stderr or time.monotonic() > deadline:
            return done


def runs(airflow: Airflow) -> list[dict[str, str]]:
    dates = {"dag_id": DAG, "from_date": f"{DAYS[0]}T00:00:00Z", "to_date": f"{DAYS[-1]}T00:00:00Z"}
    return airflow.api.backfill_runs(dates)


@pytest.mark.usefixtures("paused")
def test_the_command_runs_each_date_once_on_its_partition_with_its_conf(airflow: Airflow) -> None:
    upload(airflow.settings, {f"dt={day}/rows.csv": day.encode() for day in DAYS}, pipeline=DAG)
    refused = create(airflow, {"Factor": "much"})
    assert refused.returncode != 0
    assert "Invalid input for param Factor" in refused.stderr
    assert runs(airflow) == []

    made = create(airflow, {"Factor": 2.5})
    assert made.returncode == 0, made.stdout + made.stderr
    airflow.api.unpause(DAG)
    ended: list[Run] = [airflow.finished(DAG, run["dag_run_id"]) for run in runs(airflow)]
    assert [run.state for run in ended] == ["success"] * len(DAYS)
    bucket = airflow.settings.bucket
    arns = [airflow.execution_arn(run) for run in ended]
    assert [airflow.sagemaker.execution_parameters(arn) for arn in arns] == [
        {
            "InputData": f"s3://{bucket}/partitioned/data/dt={day}/",
            "OutputPrefix": f"s3://{bucket}/partitioned/runs/dt={day}",
            "Factor": "2.5",
        }
        for day in DAYS
    ]
    of_backfills = [
        execution["PipelineExecutionArn"]
        for execution in airflow.executions(DAG)
        if execution["PipelineExecutionDisplayName"].startswith("backfill")
    ]
    assert sorted(of_backfills) == sorted(arns)
