"""Thirty days through the real Airflow, with a quota of four executions: once, again, and cancelled."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from sagemaker_local_runtime.images.ports import free_port
from sagemaker_local_runtime.settings import Settings
from sagemaker_local_runtime.testing_client import Endpoint
from stack.airflow_env import aws_connection
from stack.bootstrap import DATA_FILE, split_data
from stack.lifecycle import Stack
from stack.settings import ROOT, StackSettings
from tests.e2e.backfill.light import SCRIPT, light_definition
from tests.waiting import GENEROUS_SECONDS, PATIENT, patiently, until

# Three backfills, one after the other.
pytestmark = [pytest.mark.long, pytest.mark.timeout(7200)]

DAYS = [str(date(2026, 1, 1) + timedelta(days=day)) for day in range(30)]
QUOTA = 4
ENDED = ("success", "failed")


class Backfills:
    """A stack with the light DAG, and what the test asks of it."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        settings = stack.settings
        self.endpoint = Endpoint(settings.runtime_url, Settings(data_dir=settings.runtime_data_dir))
        self.sagemaker = self.endpoint.client("sagemaker", retries=3)

    def create(self, **options: Any) -> dict[str, Any]:
        """Create a backfill of all days."""
        first, last = (f"{day}T00:00:00Z" for day in (DAYS[0], DAYS[-1]))
        return self.stack.api.create_backfill("light", first, last, max_active_runs=10, **options)

    def runs(self, backfill: dict[str, Any]) -> list[dict[str, Any]]:
        return self.stack.api.backfill_runs(backfill)

    def until(self, backfill: dict[str, Any], seen: Callable[[list[dict[str, Any]]], bool]) -> None:
        patiently(lambda: seen(self.runs(backfill)), "the backfill")

    def executions(self) -> dict[str, str]:
        """Return the statuses of all executions of the light pipeline by ARN."""
        pages = self.sagemaker.get_paginator("list_pipeline_executions").paginate(PipelineName="light")
        return {
            item["PipelineExecutionArn"]: item["PipelineExecutionStatus"]
            for page in pages
            for item in page["PipelineExecutionSummaries"]
        }

    def result(self, day: str) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads(
            self.endpoint.get(f"s3://{self.endpoint.bucket}/light/results/{day}.json")
        )
        return loaded

    def parameters(self, arn: str) -> dict[str, str]:
        answer = self.sagemaker.list_pipeline_parameters_for_execution(PipelineExecutionArn=arn)
        return {pair["Name"]: pair["Value"] for pair in answer["PipelineParameters"]}

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        settings = self.stack.settings
        env = os.environ | {
            "AIRFLOW_HOME": str(settings.state_dir / "command"),
            "AIRFLOW_CONN_AWS_DEFAULT": json.dumps(aws_connection(settings)),
            "AIRFLOW__API__BASE_URL": settings.airflow_url,
            "PYTHONPATH": str(ROOT / "plugins"),
        }
        command = [sys.executable, "-m", "sagemaker_pipelines", *arguments]
        return subprocess.run(
            command, env=env, capture_output=True, text=True, timeout=GENEROUS_SECONDS, check=False
        )

    def check(self, backfill: dict[str, Any], factor: float) -> set[str]:
        """Check every date's run, execution, inputs, outputs and result; return the executions."""
        runs = self.runs(backfill)
        assert [run["logical_date"][:10] for run in runs] == DAYS
        assert {run["state"] for run in runs} == {"success"}
        rows = split_data(DATA_FILE)
        seen = set()
        for run, day in zip(runs, DAYS, strict=True):
            tasks = {
                task["task_id"]: task for task in self.stack.api.task_instances("light", run["dag_run_id"])
            }
            assert {name: task["state"] for name, task in tasks.items()} == {
                "start": "success",
                "branch": "success",
                "accepted": "skipped",
                "rejected": "skipped",
            }
            result = self.result(day)
            arn = result["pipeline_execution_arn"]
            assert self.parameters(arn) == {
                "InputData": f"s3://{self.endpoint.bucket}/abalone/data/train/dt={day}/",
                "OutputPrefix": f"s3://{self.endpoint.bucket}/light/dt={day}",
                "Factor": str(factor),
                "Seconds": "8",
            }
            lines = rows[f"train/dt={day}/abalone.csv"].decode().split()
            mean = statistics.fmean(float(line.rpartition(",")[2]) for line in lines)
            assert result["value"] == pytest.approx(factor * mean)
            assert result["report_uri"].startswith(f"s3://{self.endpoint.bucket}/light/dt={day}/")
            assert result["data_interval_start"][:10] == day
            seen.add(arn)
        assert len(seen) == len(DAYS)
        return seen


@pytest.fixture(scope="module")
def backfills(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backfills]:
    settings = StackSettings(
        state_dir=tmp_path_factory.mktemp("stack"),
        airflow_port=free_port(),
        runtime_port=free_port(),
        dags_folder=Path(__file__).parent / "dags",
        max_concurrent_executions=QUOTA,
    )
    stack = Stack(settings, extra_env=PATIENT)
    stack.up()
    try:
        light = Backfills(stack)
        code = light.endpoint.put("light/code/mean.py", SCRIPT)
        light.endpoint.create_pipeline(light_definition(code, light.endpoint.role_arn), "light")

        def is_read() -> bool:
            assert not stack.api.import_errors()
            return "light" in stack.api.dag_ids()

        until(is_read, "the DAG processor to find the DAG")
        stack.api.unpause("light")
        yield light
    finally:
        stack.down()


def test_thirty_days_run_again_on_request_and_leave_nothing_when_cancelled(backfills: Backfills) -> None:
    first = backfills.create(dag_run_conf={"Factor": 2.0})
    backfills.until(first, lambda runs: len(runs) == 30 and all(run["state"] in ENDED for run in runs))
    executions = backfills.check(first, 2.0)
    assert set(backfills.executions()) == executions
    # The quota of four refused starts, and no task failed of it.
    assert backfills.endpoint.calls()["sagemaker:StartPipelineExecution"] > len(DAYS)

    report = backfills.command("backfill-report", str(first["id"]), "--json")
    assert report.returncode == 0, report.stderr
    told = json.loads(report.stdout)
    assert told["totals"]["states"] == {"success": 30}
    assert told["totals"]["executions"] == 30
    # Each Processing job sleeps for 8 s.
    assert all(d["instance_seconds"] >= 8 for d in told["dates"])
    assert [d["value"] for d in told["dates"]] == [backfills.result(day)["value"] for day in DAYS]
    assert {d["pipeline_execution_arn"] for d in told["dates"]} == executions

    again = backfills.create(dag_run_conf={"Factor": 3.0}, reprocess_behavior="completed", run_backwards=True)
    # A run that has not been cleared yet would look as if it had ended.
    backfills.until(again, lambda runs: all(run["state"] in ENDED for run in runs))
    more = backfills.check(again, 3.0)
    assert not more & executions
    assert set(backfills.executions()) == executions | more

    last = backfills.create(dag_run_conf={"Factor": 4.0, "Seconds": 30}, reprocess_behavior="completed")
    backfills.until(last, lambda runs: sum(run["state"] == "success" for run in runs) in range(5, 20))
    cancelled = backfills.command("backfill-cancel", str(last["id"]), "--yes", "--json")
    assert cancelled.returncode == 0, cancelled.stderr
    done = json.loads(cancelled.stdout)
    assert done["runs"]
    assert done["stopped"]
    assert not done["running"]
    until(lambda: set(backfills.executions().values()) <= {"Succeeded", "Stopped"}, "all to end")
    assert not [run for run in backfills.runs(last) if run["state"] not in ENDED]
    assert len(backfills.executions()) < 90
