"""How long ``make demo`` takes, and what Airflow adds to an execution."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sagemaker_local_runtime.images.ports import free_port
from stack.demo import TRAIN
from stack.lifecycle import Stack
from stack.settings import ROOT, StackSettings

DEMO_GOAL_SECONDS = 42
CLONE_GOAL_SECONDS = 95
OVERHEAD_GOAL_SECONDS = 5
BRANCH_GOAL_SECONDS = 3
RUNS = 3
BRANCH = "branch_on_mse"


def main() -> None:
    """Time the demo on an empty state folder and a used one, runs on a warm stack, and a fresh clone."""
    with tempfile.TemporaryDirectory() as folder:
        settings = StackSettings(state_dir=Path(folder), airflow_port=free_port(), runtime_port=free_port())
        env = {
            **os.environ,
            "STACK_STATE_DIR": str(settings.state_dir),
            "AIRFLOW_PORT": str(settings.airflow_port),
            "RUNTIME_PORT": str(settings.runtime_port),
        }
        print(f"make demo in an installed environment (goal: at most {DEMO_GOAL_SECONDS} s)")
        for label in ("first start", "second start"):
            seconds = _seconds([sys.executable, "-m", "stack", "demo"], cwd=ROOT, env=env)
            print(f"  {label:<30} {seconds:7.1f} s")
        _overheads(settings)
    with tempfile.TemporaryDirectory() as folder:
        seconds = _clone_seconds(
            Path(folder, "clone"), {**env, "STACK_STATE_DIR": str(Path(folder, "state"))}
        )
        print(f"make demo in a fresh clone, packages from the network (goal: at most {CLONE_GOAL_SECONDS} s)")
        print(f"  {'clone, set-up and demo':<30} {seconds:7.1f} s")


def _clone_seconds(clone: Path, env: Mapping[str, str]) -> float:
    git = _seconds(["git", "clone", "--quiet", str(ROOT), str(clone)], cwd=ROOT, env=env)
    return git + _seconds(["make", "demo"], cwd=clone, env=env)


def _seconds(command: list[str], *, cwd: Path, env: Mapping[str, str]) -> float:
    """Return how long a command takes that must succeed."""
    began = time.monotonic()
    done = subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, text=True, timeout=1200, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return time.monotonic() - began


def _overheads(settings: StackSettings) -> None:
    stack = Stack(settings)
    stack.up()
    try:
        stack.api.unpause(TRAIN)
        measured = [_run(stack) for _ in range(RUNS)]
    finally:
        stack.down()
    print(
        f"one run of {TRAIN} on a warm stack, median of {RUNS} (goals: at most {OVERHEAD_GOAL_SECONDS} s "
        f"more, {BRANCH_GOAL_SECONDS} s to the branch)"
    )
    for label, values in (
        ("DAG run", [one.run for one in measured]),
        ("execution", [one.execution for one in measured]),
        ("Airflow beyond the execution", [one.run - one.execution for one in measured]),
        ("execution's end to branch's end", [one.branch for one in measured]),
    ):
        print(f"  {label:<32} {statistics.median(values):5.1f} s")


@dataclass(frozen=True)
class Measured:
    """Seconds: a DAG run from trigger to end, its execution, and from its end to the branch's end."""

    run: float
    execution: float
    branch: float


def _run(stack: Stack) -> Measured:
    began = time.time()
    run_id = stack.api.trigger(TRAIN, {})
    while (run := stack.api.run(TRAIN, run_id))["state"] not in ("success", "failed"):
        time.sleep(0.1)
    arn = stack.api.xcom(TRAIN, run_id, "start_pipeline")
    execution = stack.settings.target.boto3_client("sagemaker").describe_pipeline_execution(
        PipelineExecutionArn=arn
    )
    ended = execution["LastModifiedTime"]
    tasks = {task["task_id"]: task for task in stack.api.task_instances(TRAIN, run_id)}
    return Measured(
        run=datetime.fromisoformat(run["end_date"]).timestamp() - began,
        execution=(ended - execution["CreationTime"]).total_seconds(),
        branch=(datetime.fromisoformat(tasks[BRANCH]["end_date"]) - ended).total_seconds(),
    )
