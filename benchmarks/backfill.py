"""A backfill whose executions do nothing, beside one of as many empty tasks of Airflow."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sagemaker_local_runtime.images.ports import free_port
from sagemaker_local_runtime.settings import Settings
from sagemaker_local_runtime.testing_client import Endpoint
from stack.lifecycle import Stack
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
    """Print the runs per minute of both, and how long a run takes in addition to its execution."""
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
            Endpoint(settings.runtime_url, Settings(data_dir=settings.runtime_data_dir)).create_pipeline(
                DEFINITION, "condition"
            )
            empty, empty_seconds = _backfill(stack, "empty")
            ours, our_seconds = _backfill(stack, "condition")
            execution = statistics.median(_execution_seconds(stack))
        finally:
            stack.down()
    print(f"a backfill of {RUNS} runs, {MAX_ACTIVE_RUNS} at once, two tasks each, on {os.cpu_count()} cores")
    for label, seconds in (("empty tasks of Airflow", empty_seconds), ("start and wait", our_seconds)):
        print(f"  {label:<30} {60 * RUNS / seconds:7.1f} runs a minute")
    print(f"  {'beside the empty tasks':<30} {our_seconds / empty_seconds:7.2f} times the time")
    print(f"one run, from its start to its end, median; its execution of {execution:.2f} s taken out")
    overhead = _median(ours) - execution
    print(f"  {'empty tasks of Airflow':<30} {_median(empty):7.1f} s")
    print(f"  {'start and wait':<30} {overhead:7.1f} s   {overhead / _median(empty):.2f} times")


def _median(runs: list[dict[str, Any]]) -> float:
    return float(statistics.median(run["duration"] for run in runs))


def _backfill(stack: Stack, dag_id: str) -> tuple[list[dict[str, Any]], float]:
    """Return the runs, and the seconds from the backfill's creation to the end of its last run."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while dag_id not in stack.api.dag_ids():
        _check(deadline, f"no DAG yet; import errors: {stack.api.import_errors()}")
    last = FIRST + timedelta(days=RUNS - 1)
    backfill = stack.api.create_backfill(
        dag_id, FIRST.isoformat(), last.isoformat(), max_active_runs=MAX_ACTIVE_RUNS
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
