"""A backfill whose executions do nothing: the overhead of Airflow and the operators for each run."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sagemaker_local_runtime.settings import Settings
from sagemaker_local_runtime.testing import Endpoint
from stack.lifecycle import Stack
from stack.processes import free_port
from stack.settings import StackSettings

RUNS = int(os.environ.get("BENCH_BACKFILL_RUNS", "30"))
MAX_ACTIVE_RUNS = 10
FIRST = datetime.fromisoformat("2026-01-01T00:00:00+00:00")
TIMEOUT_SECONDS = 900.0
DEFINITION: dict[str, Any] = {
    "Version": "2020-12-01",
    "Steps": [
        {
            "Name": "Nothing",
            "Type": "Condition",
            "Arguments": {
                "Conditions": [{"Type": "Equals", "LeftValue": 1, "RightValue": 1}],
                "IfSteps": [],
                "ElseSteps": [],
            },
        }
    ],
}


def main() -> None:
    """Print the runs per minute, and how long a run takes in addition to its execution."""
    with tempfile.TemporaryDirectory() as folder:
        settings = StackSettings(
            state_dir=Path(folder),
            airflow_port=free_port(),
            runtime_port=free_port(),
            dags_folder=Path(__file__).parent / "dags",
        )
        stack = Stack(settings)
        stack.up()
        try:
            runs, seconds = _backfill(stack)
            executions = _execution_seconds(stack)
        finally:
            stack.down()
    overhead = statistics.median(run["duration"] for run in runs) - statistics.median(executions)
    print(f"a backfill of {RUNS} runs, {MAX_ACTIVE_RUNS} at once, two tasks each, on {os.cpu_count()} cores")
    print(f"  {60 * RUNS / seconds:.1f} runs per minute: one every {seconds / RUNS:.2f} s")
    print(f"  the execution of one takes {statistics.median(executions):.2f} s (median)")
    print(f"  Airflow's overhead {overhead:.1f} s from the start to the end of a run")


def _backfill(stack: Stack) -> tuple[list[dict[str, Any]], float]:
    """Return the runs, and the seconds from the backfill's creation to the end of its last run."""
    endpoint = Endpoint(stack.settings.runtime_url, Settings(data_dir=stack.settings.runtime_data_dir))
    endpoint.create_pipeline(DEFINITION, "condition")
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while "condition" not in stack.api.dag_ids():
        _check(deadline, f"no DAG yet; import errors: {stack.api.import_errors()}")
    last = FIRST + timedelta(days=RUNS - 1)
    backfill = stack.api.create_backfill(
        "condition", FIRST.isoformat(), last.isoformat(), max_active_runs=MAX_ACTIVE_RUNS
    )
    # The DAG was paused while the backfill was created.
    began = time.monotonic()
    while True:
        runs = stack.api.backfill_runs(backfill)
        if len(runs) == RUNS and all(run["state"] in {"success", "failed"} for run in runs):
            break
        _check(deadline, f"{sum(run['state'] == 'success' for run in runs)} of {RUNS} runs have ended")
    if failed := [run["dag_run_id"] for run in runs if run["state"] == "failed"]:
        raise SystemExit(f"failed: {failed}")
    return runs, time.monotonic() - began


def _execution_seconds(stack: Stack) -> list[float]:
    sagemaker = stack.settings.target.boto3_client("sagemaker")
    pages = sagemaker.get_paginator("list_pipeline_executions").paginate(PipelineName="condition")
    seconds = []
    for page in pages:
        for item in page["PipelineExecutionSummaries"]:
            described = sagemaker.describe_pipeline_execution(
                PipelineExecutionArn=item["PipelineExecutionArn"]
            )
            seconds.append((described["LastModifiedTime"] - described["CreationTime"]).total_seconds())
    return seconds


def _check(deadline: float, seen: str) -> None:
    if time.monotonic() > deadline:
        raise SystemExit(f"no result after {TIMEOUT_SECONDS:.0f} s: {seen}")
    time.sleep(0.5)
