"""Compare the parse time of our DAG files with that of a file that uses only the provider's operators."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from stack.airflow_env import airflow_environment
from stack.processes import ProcessSpec, ProcessTable
from stack.settings import ROOT, StackSettings

REPEATS = 15
GOALS = {"with mirrors": 1.3, "without mirrors": 1.1}
PROCESSOR = "airflow-dag-processor"
# What abalone_train would be without our package.
PROVIDER_DAG = """
from datetime import datetime

from airflow.providers.amazon.aws.notifications.sns import SnsNotifier
from airflow.providers.amazon.aws.operators.sagemaker import SageMakerStartPipelineOperator
from airflow.providers.amazon.aws.operators.sns import SnsPublishOperator
from airflow.providers.amazon.aws.sensors.sagemaker import SageMakerPipelineSensor
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG, CronDataIntervalTimetable, Param, task

with DAG(
    "provider_only",
    schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),
    start_date=datetime(2026, 1, 1),
    catchup=False,
    params={"MseThreshold": Param(6.0, type="number"), "InputData": Param(None, type=["null", "string"])},
    default_args={"on_failure_callback": SnsNotifier(target_arn="arn", subject="s", message="m")},
):
    start = SageMakerStartPipelineOperator(
        task_id="start_pipeline",
        pipeline_name="abalone",
        pipeline_params={"MseThreshold": "{{ params.MseThreshold }}"},
        wait_for_completion=False,
    )
    wait = SageMakerPipelineSensor(task_id="wait_for_pipeline", pipeline_exec_arn=start.output)

    @task.branch
    def branch_on_mse():
        return "trigger_scoring"

    notify = SnsPublishOperator(task_id="notify_rejected", target_arn="arn", message="m")
    trigger = TriggerDagRunOperator(task_id="trigger_scoring", trigger_dag_id="abalone_score")
    start >> wait >> branch_on_mse() >> [notify, trigger]
"""


def main() -> None:
    """Let a real DAG processor parse each file repeatedly, and print the medians that it recorded."""
    for kind, goal in GOALS.items():
        _compare(kind, goal)


def _compare(kind: str, goal: float) -> None:
    # Each has its own processor, because the imports of one file speed up the next one. Both run at the same
    # time, so that they see the same load.
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as pool:
        ours = Path(folder, "our_dags")
        shutil.copytree(ROOT / "dags", ours)
        if kind == "without mirrors":
            _leave_mirrors_out(ours)
        dag_ids = sorted(path.stem for path in ours.glob("*.py"))
        theirs = Path(folder, "provider_dags")
        theirs.mkdir()
        (theirs / "provider_only.py").write_text(PROVIDER_DAG)
        providers = pool.submit(_measure, Path(folder, "provider"), theirs, {"provider_only"})
        seconds = _measure(Path(folder, "ours"), ours, set(dag_ids))
        base = statistics.median(providers.result()["provider_only"])
    print(f"parse time in the DAG processor {kind}, median of {REPEATS} (goal: {goal} times the provider's)")
    print(f"  {'the provider operators only':<30} {base * 1000:7.0f} ms")
    for dag_id in dag_ids:
        median = statistics.median(seconds[dag_id])
        print(f"  {dag_id + '.py':<30} {median * 1000:7.0f} ms   {median / base:.2f} times")


def _leave_mirrors_out(folder: Path) -> None:
    for path in folder.glob("*.py"):
        text = path.read_text()
        if "    definition=" in text:
            path.write_text(text.replace("    definition=", "    mirror_steps=False,\n    definition=", 1))


def _measure(home: Path, dags: Path, dag_ids: set[str]) -> dict[str, list[float]]:
    settings = StackSettings(state_dir=home, dags_folder=dags)
    env = airflow_environment(
        settings,
        extra={
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "0",
            "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
        },
    )
    airflow = [sys.executable, "-m", "airflow"]
    subprocess.run([*airflow, "db", "migrate"], env=env, check=True, capture_output=True, timeout=120)
    table = ProcessTable(settings.state_dir)
    table.start(ProcessSpec(name=PROCESSOR, command=[*airflow, "dag-processor"], env=env))
    samples: dict[str, dict[str, float]] = {dag_id: {} for dag_id in dag_ids}

    def enough() -> bool:
        for dag_id, parsed, duration in _recorded(settings.airflow_home / "airflow.db"):
            if dag_id in samples and duration is not None:
                samples[dag_id][parsed] = duration
        return all(len(found) > REPEATS for found in samples.values())

    try:
        table.wait_until(enough, [PROCESSOR], what="Parsing the DAG files", timeout=300)
    finally:
        table.stop([PROCESSOR])
    # The first parse of a file also imports its modules.
    return {dag_id: list(found.values())[1:] for dag_id, found in samples.items()}


def _recorded(database: Path) -> list[tuple[str, str, float | None]]:
    with contextlib.closing(sqlite3.connect(database, timeout=30)) as connection:
        query = "SELECT dag_id, last_parsed_time, last_parse_duration FROM dag"
        return connection.execute(query).fetchall()
