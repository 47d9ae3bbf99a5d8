"""Projects as users have them, of both versions of the SDK, compile to the same bytes on any machine."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections import Counter
from pathlib import Path

import pytest
from uv import find_uv_bin

from sagemaker_pipelines.definition import Envelope, lint
from stack.settings import ROOT
from tests.unit.definition.samples import MODEL

PROJECTS = ROOT / "tests" / "projects"
VALUES = {"artifact_bucket": "bucket", "name_prefix": "dev-", "role_arn": "arn:aws:iam::111122223333:role/r"}

# Each compilation is a process of its own, as on two machines.
pytestmark = [pytest.mark.thorough, pytest.mark.xdist_group("projects")]


def copy(name: str, target: Path) -> Path:
    return Path(shutil.copytree(PROJECTS / name, target))


def used_copy(name: str, target: Path) -> Path:
    """Copy a project as a machine has it where somebody has worked with it."""
    project = copy(name, target)
    for path in project.rglob("*"):
        os.utime(path, (1, 1))
        path.chmod(path.stat().st_mode & 0o700)
    for folder in [path.parent for path in project.rglob("*.py")]:
        (folder / "__pycache__").mkdir(exist_ok=True)
        (folder / "__pycache__" / "left.cpython-39.pyc").write_bytes(b"left")
        (folder / ".ipynb_checkpoints").mkdir(exist_ok=True)
        (folder / ".ipynb_checkpoints" / "left.py").touch()
    return project


def compiled(project: Path, *options: str, **environment: str) -> dict[str, bytes]:
    """Compile a project with the command line and return the content of each file."""
    out = project / "definitions"
    command = [sys.executable, "-m", "sagemaker_compile", "--sources", "pipelines", "--out", str(out)]
    done = subprocess.run(
        [*command, *options],
        cwd=project,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}


@pytest.fixture(scope="session")
def sdk_v2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with version 2 of the SDK."""
    folder = tmp_path_factory.mktemp("sdk-v2") / "venv"
    subprocess.run([find_uv_bin(), "venv", "--quiet", "--python", sys.executable, folder], check=True)
    python = folder / "bin" / "python"
    packages = ["sagemaker<3", "moto>=5"]
    subprocess.run([find_uv_bin(), "pip", "install", "--quiet", "--python", python, *packages], check=True)
    return python


def names(archive: Path) -> tuple[str, ...]:
    with tarfile.open(archive) as opened:
        return tuple(opened.getnames())


def checked(project: Path, name: str) -> Envelope:
    """Load an envelope, check it as the upsert does, and check that every asset is asked for."""
    envelope = Envelope.load(project / "definitions" / f"{name}.json")
    definition = envelope.fill(VALUES, region="eu-west-1")
    assert lint(definition, MODEL) == []
    text = json.dumps(definition)
    assert "us-east-1" not in text
    assert str(project) not in text
    assert "/tmp" not in text
    for asset in envelope.assets:
        envelope.asset_path(asset)
        key = f"s3://bucket/dev-assets/{asset.folder or asset.sha256}"
        assert key in text
    asked = set(re.findall(r"s3://bucket/dev-assets/(\w+)", text))
    assert asked == {asset.folder or asset.sha256 for asset in envelope.assets}
    return envelope


def test_a_project_of_sdk_v3_with_code_folders_and_requirements(tmp_path: Path) -> None:
    first = compiled(copy("sdk_v3", tmp_path / "one"), PYTHONHASHSEED="1")
    second = compiled(used_copy("sdk_v3", tmp_path / "elsewhere" / "two"), PYTHONHASHSEED="2")
    assert first == second
    ratings = checked(tmp_path / "one", "ratings")
    assert "baseline.csv" in {asset.name for asset in ratings.assets}
    assert {"eu-west-1", "us-east-1"} <= ratings.images["model-monitor"].keys()
    assert ratings.images.keys() == {
        "clarify",
        "model-monitor",
        "pytorch-inference-2.0-cpu-py310",
        "pytorch-training-2.0-cpu-py310",
        "sklearn",
    }
    envelope = checked(tmp_path / "one", "churn")
    counts = Counter(asset.name for asset in envelope.assets)
    assert {"requirements.txt", "train.py", "sm_train.sh", "sourcedir.tar.gz"} <= counts.keys()
    assert not [name for name in counts if "pyc" in name or "ipynb" in name]
    # A module of the SDK's drivers: once in the folder, and once on disk for all pipelines.
    assert counts["scripts/environment.py"] == 1
    assert len([path for path in first if path.endswith("/environment.py")]) == 1


def test_the_copies_of_the_sources_that_the_sdk_makes_are_removed(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    compiled(copy("sdk_v3", tmp_path / "project"), TMPDIR=str(tmp_path / "tmp"))
    assert not [*(tmp_path / "tmp").iterdir()]


def test_a_template_of_sdk_v2_is_compiled_in_an_environment_of_its_own(tmp_path: Path, sdk_v2: Path) -> None:
    project = copy("mlops_template", tmp_path / "one")
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    first = compiled(project, "--python", str(sdk_v2), PYTHONHASHSEED="1", PYTHONDONTWRITEBYTECODE="1")
    assert {path: path.read_bytes() for path in before} == before
    # SDK v2 itself writes the scripts that add code to a model into the project's folder.
    written = {path.name for path in project.rglob("*.*") if path.is_file() and path not in before}
    assert not {name for name in written if "repack" in name}
    second = compiled(used_copy("mlops_template", tmp_path / "elsewhere" / "two"), "--python", str(sdk_v2))
    assert first == second
    envelope = checked(project, "abalone")
    assert envelope.images.keys() == {"sklearn", "xgboost"}
    archives = {names(envelope.asset_path(item)) for item in envelope.assets if "tar" in item.name}
    code = ("evaluate.py", "inference.py", "requirements.txt", "train.py")
    assert archives == {code, ("_repack_model.py", "_repack_script_launcher.sh", *code)}
