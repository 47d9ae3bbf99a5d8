"""Projects in SDK v3 and with an image of their own go to a green DAG by docs/coming_from.md."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from stack.settings import ROOT
from tests.documents import blocks
from tests.e2e.projects.walk import walk
from tests.runtime.projects.test_own_image import customers

COMPILED, OWN_IMAGE = "From a project to a green DAG", "With an image of your own"
EXECUTIONS = "aws sagemaker list-pipeline-executions --pipeline-name churn > executions.json\n"

# The packages come from the package index.
pytestmark = pytest.mark.thorough


def with_dag(folder: Path) -> Path:
    """Write the DAG file of both projects."""
    (dag_file,) = blocks("coming_from.md", "python", "From a file to a green DAG")
    (folder / "dags").mkdir()
    (folder / "dags" / "churn_dag.py").write_text(dag_file)
    return folder


def status(folder: Path) -> str:
    (execution,) = json.loads((folder / "executions.json").read_text())["PipelineExecutionSummaries"]
    return str(execution["PipelineExecutionStatus"])


def test_a_project_with_code_folders_and_requirements_ends_in_a_green_dag(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "tests" / "projects" / "sdk_v3" / "pipelines", tmp_path / "pipelines")
    walk(COMPILED, with_dag(tmp_path), then=EXECUTIONS)
    assert status(tmp_path) == "Succeeded"


def test_a_project_with_an_own_image_ends_in_a_green_dag(tmp_path: Path) -> None:
    project = shutil.copytree(ROOT / "tests" / "runtime" / "projects" / "own_image", tmp_path / "project")
    (project / "customers.csv").write_bytes(customers())
    walk(OWN_IMAGE, with_dag(project), then=EXECUTIONS)
    assert status(project) == "Succeeded"
