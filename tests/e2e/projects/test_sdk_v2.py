"""A project in SDK v2 goes from its definition to a green DAG, by the commands of docs/coming_from.md."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from stack.settings import ROOT

PROJECT = ROOT / "tests" / "projects" / "sdk_v2"
_, _, WALK = (ROOT / "docs" / "coming_from.md").read_text().partition("## From a file to a green DAG")
WALK, _, _ = WALK.partition("\n## ")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", WALK, re.MULTILINE | re.DOTALL)


@pytest.mark.thorough
def test_the_documented_commands_end_in_a_green_dag(tmp_path: Path) -> None:
    for name in ("churn.json", "customers.csv", "batch.csv"):
        shutil.copy(PROJECT / name, tmp_path)
    shutil.copytree(PROJECT / "code", tmp_path / "code")
    (tmp_path / "dags").mkdir()
    (dag_file,) = blocks("python")
    (tmp_path / "dags" / "churn_dag.py").write_text(dag_file)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    result = (
        "GROUP=ChurnModelPackageGroup\n"
        "aws sagemaker list-pipeline-executions --pipeline-name churn > executions.json\n"
        "aws sagemaker list-model-packages --model-package-group-name $GROUP > packages.json\n"
        "aws s3 cp $BUCKET/churn/scores/batch.csv.out scores.csv\n"
    )
    script = "\n".join(
        ["set -eu", "trap 'kill $(jobs -p)' EXIT", *blocks("sh"), result],
    ).replace("4599", str(port))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | {
        "PATH": f"{ROOT / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    began = time.monotonic()
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{done.stdout[-8000:]}\n{done.stderr[-8000:]}"
    print(f"from the definition to a green DAG: {time.monotonic() - began:.1f} s")
    assert re.search(r"DagRun Finished: dag_id=churn.* state=success", done.stdout + done.stderr)
    (execution,) = json.loads((tmp_path / "executions.json").read_text())["PipelineExecutionSummaries"]
    assert execution["PipelineExecutionStatus"] == "Succeeded"
    (package,) = json.loads((tmp_path / "packages.json").read_text())["ModelPackageSummaryList"]
    assert package["ModelApprovalStatus"] == "PendingManualApproval"
    scores = (tmp_path / "scores.csv").read_text().split()
    assert len(scores) == len((PROJECT / "batch.csv").read_text().splitlines())
    assert all(0 <= float(score) <= 1 for score in scores)
