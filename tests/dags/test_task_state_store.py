"""What a start keeps for its next attempt, in the task state store of a real Airflow database."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from stack.settings import ROOT

# As large as a request can be: 200 parameters of 1,024 characters.
DAG = '''
"""An Airflow DAG that keeps the largest request."""

from airflow.sdk import DAG, task

from sagemaker_pipelines.task.records import StartRecord

REQUEST = {"PipelineParameters": [{"Name": f"P{i}", "Value": "x" * 1024} for i in range(200)]}

with DAG("keeps", schedule=None) as dag:

    @task
    def keep(**context):
        StartRecord(generation="0" * 32, request=REQUEST).save(context)
        assert StartRecord.load(context).request == REQUEST

    keep()

if __name__ == "__main__":
    assert dag.test().state == "success"
'''


@pytest.mark.thorough
def test_the_largest_request_is_kept_whole_and_for_good(tmp_path: Path) -> None:
    folder = tmp_path / "dags"
    folder.mkdir()
    (folder / "keeps.py").write_text(DAG)
    env = os.environ | {
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__DAGS_FOLDER": str(folder),
        "PYTHONPATH": str(ROOT / "plugins"),
    }
    for command in (["-m", "airflow", "db", "migrate"], [str(folder / "keeps.py")]):
        done = subprocess.run(
            [sys.executable, *command], env=env, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stdout + done.stderr
    with contextlib.closing(sqlite3.connect(tmp_path / "airflow.db")) as database:
        ((size, expires_at),) = database.execute("select length(value), expires_at from task_state_store")
    assert size > 200 * 1024
    assert expires_at is None
