"""How long ``make demo`` takes, and what Airflow adds to an execution."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

from stack.demo import TRAIN
from stack.lifecycle import Stack
from stack.processes import free_port
from stack.settings import ROOT, StackSettings

DEMO_GOAL_SECONDS = 60
OVERHEAD_GOAL_SECONDS = 5
RUNS = 3


def main() -> None:
    """Time the demo on an empty state folder, on the one that it left, and single runs on a warm stack."""
    with tempfile.TemporaryDirectory() as folder:
        settings = StackSettings(state_dir=Path(folder), airflow_port=free_port(), runtime_port=free_port())
        print(f"make demo in an installed environment (goal: at most {DEMO_GOAL_SECONDS} s)")
        for label in ("first start", "second start"):
            print(f"  {label:<30} {_demo_seconds(settings):7.1f} s")
        _overheads(settings)


def _demo_seconds(settings: StackSettings) -> float:
    env = {
        **os.environ,
        "STACK_STATE_DIR": str(settings.state_dir),
        "AIRFLOW_PORT": str(settings.airflow_port),
        "RUNTIME_PORT": str(settings.runtime_port),
    }
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "stack", "demo"],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=600,
    )
    if done.returncode:
        raise SystemExit(f"the demo failed:\n{done.stdout}{done.stderr}")
    return time.monotonic() - began


def _overheads(settings: StackSettings) -> None:
    stack = Stack(settings)
    stack.up()
    try:
        stack.api.unpause(TRAIN)
        measured = [_run(stack) for _ in range(RUNS)]
    finally:
        stack.down()
    print(f"one run of {TRAIN} on a warm stack, {RUNS} runs (goal: at most {OVERHEAD_GOAL_SECONDS} s more)")
    for label, values in (
        ("DAG run", [run for run, _ in measured]),
        ("execution", [execution for _, execution in measured]),
        ("Airflow beyond the execution", [run - execution for run, execution in measured]),
    ):
        print(f"  {label:<30} {statistics.median(values):7.1f} s")


def _run(stack: Stack) -> tuple[float, float]:
    """Return the seconds of a DAG run, from trigger to end, and of its execution."""
    began = time.time()
    run_id = stack.api.trigger(TRAIN, {})
    while (run := stack.api.run(TRAIN, run_id))["state"] not in ("success", "failed"):
        time.sleep(0.1)
    ended = datetime.fromisoformat(run["end_date"]).timestamp()
    arn = stack.api.xcom(TRAIN, run_id, "start_pipeline")
    execution = stack.settings.target.boto3_client("sagemaker").describe_pipeline_execution(
        PipelineExecutionArn=arn
    )
    seconds = (execution["LastModifiedTime"] - execution["CreationTime"]).total_seconds()
    return ended - began, float(seconds)
