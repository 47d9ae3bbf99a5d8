"""A project with code folders runs from its files to the end: compiled, upserted and executed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from sagemaker_local_runtime.target import Target
from sagemaker_local_runtime.testing import LocalRuntime
from sagemaker_pipelines.aws.upsert import upsert_pipeline
from sagemaker_pipelines.definition import Envelope
from stack.settings import ROOT


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The project of SDK v3, with the packages that its requirements install."""
    return Path(shutil.copytree(ROOT / "tests" / "projects" / "sdk_v3", tmp_path / "project"))


@pytest.mark.thorough
def test_a_project_with_code_folders_runs_from_its_files_to_its_model(
    local_runtime: LocalRuntime, project: Path
) -> None:
    # In its own process, because the compiler and the runtime each have an AWS of their own in theirs.
    command = [sys.executable, "-m", "sagemaker_compile", "--sources", "pipelines", "--out", "definitions"]
    subprocess.run(command, cwd=project, check=True)
    envelope = Envelope.load(project / "definitions" / "churn.json")
    target = Target.of(local_runtime.endpoint_url, local_runtime.settings)
    upsert_pipeline(target.sagemaker, envelope)
    arn = target.start(envelope, {"TestShare": 0.2})
    assert local_runtime.wait(arn)["PipelineExecutionStatus"] == "Succeeded", local_runtime.steps(arn)
    job = local_runtime.steps(arn)["Train"]["Metadata"]["TrainingJob"]["Arn"].rpartition("/")[2]
    described = local_runtime.client("sagemaker").describe_training_job(TrainingJobName=job)
    archive = local_runtime.get(described["ModelArtifacts"]["S3ModelArtifacts"])
    with tarfile.open(fileobj=BytesIO(archive)) as opened:
        model = json.loads((opened.extractfile("model.json") or BytesIO()).read())
    assert model["accuracy"] > 0.5
