"""A project in SDK v2 goes from its definition to a green DAG, by the commands of docs/coming_from.md."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from stack.settings import ROOT
from tests.documents import blocks
from tests.e2e.projects.walk import walk

PROJECT = ROOT / "tests" / "projects" / "sdk_v2"
HEADING = "From a file to a green DAG"


@pytest.mark.thorough
def test_the_documented_commands_end_in_a_green_dag(tmp_path: Path) -> None:
    for name in ("churn.json", "customers.csv", "batch.csv"):
        shutil.copy(PROJECT / name, tmp_path)
    shutil.copytree(PROJECT / "code", tmp_path / "code")
    (tmp_path / "dags").mkdir()
    (dag_file,) = blocks("coming_from.md", "python", HEADING)
    (tmp_path / "dags" / "churn_dag.py").write_text(dag_file)
    result = (
        "GROUP=ChurnModelPackageGroup\n"
        "aws sagemaker list-pipeline-executions --pipeline-name churn > executions.json\n"
        "aws sagemaker list-model-packages --model-package-group-name $GROUP > packages.json\n"
        "aws s3 cp $BUCKET/churn/scores/batch.csv.out scores.csv\n"
    )
    walk(HEADING, tmp_path, then=result)
    (execution,) = json.loads((tmp_path / "executions.json").read_text())["PipelineExecutionSummaries"]
    assert execution["PipelineExecutionStatus"] == "Succeeded"
    (package,) = json.loads((tmp_path / "packages.json").read_text())["ModelPackageSummaryList"]
    assert package["ModelApprovalStatus"] == "PendingManualApproval"
    scores = (tmp_path / "scores.csv").read_text().split()
    assert len(scores) == len((PROJECT / "batch.csv").read_text().splitlines())
    assert all(0 <= float(score) <= 1 for score in scores)
