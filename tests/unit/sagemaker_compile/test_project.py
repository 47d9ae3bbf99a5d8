"""What ``sagemaker-pipelines new`` writes, and what it refuses."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from typer.testing import CliRunner

from sagemaker_compile.exceptions import ProjectError
from sagemaker_compile.project import TEMPLATE, write_project
from sagemaker_pipelines.cli import app
from stack.package import DISTRIBUTIONS
from stack.settings import ROOT


def texts(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_text() for path in files}


def test_the_project_has_the_name_everywhere(tmp_path: Path) -> None:
    written, kept = write_project("churn_rate", tmp_path)
    found = texts(tmp_path)
    assert kept == []
    assert {path.as_posix() for path in written} == found.keys()
    assert len(found) == len(texts(TEMPLATE))
    assert "pipeline_src/churn_rate/pipeline.py" in found
    assert not [name for name, text in found.items() if "my_pipeline" in name + text or "my-pipeline" in text]
    assert 'prefixed("churn-rate")' in found["pipeline_src/churn_rate/pipeline.py"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("my-pipeline", "Python could not import"),
        ("2nd", "Python could not import"),
        ("class", "Python could not import"),
        ("../escape", "Python could not import"),
        ("", "Python could not import"),
        ("_private", "SageMaker would refuse '-private'"),
        ("ends_", "SageMaker would refuse 'ends-'"),
        ("größe", "SageMaker would refuse"),
        ("a" * 64, "its 64 characters are more than the 63"),
    ],
)
def test_a_name_that_python_or_sagemaker_would_refuse_writes_nothing(
    tmp_path: Path, name: str, reason: str
) -> None:
    with pytest.raises(ProjectError, match=reason):
        write_project(name, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_second_pipeline_keeps_what_the_project_shares(tmp_path: Path) -> None:
    write_project("first", tmp_path)
    (tmp_path / "Makefile").write_text("mine")
    before = texts(tmp_path)
    written, kept = write_project("second", tmp_path)
    assert Path("Makefile") in kept
    assert {path.as_posix() for path in written} == texts(tmp_path).keys() - before.keys()
    assert before.items() <= texts(tmp_path).items()


@pytest.mark.parametrize(
    "present", ["dags/churn.py", "pipeline_src/churn/steps/prepare.py", "data/churn.csv"]
)
def test_nothing_is_written_if_a_file_of_the_pipeline_exists(tmp_path: Path, present: str) -> None:
    path = tmp_path / present
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    done = CliRunner().invoke(app, ["new", "churn", "--folder", str(tmp_path)])
    assert done.exit_code == 1
    assert f"{path} exists" in done.stderr
    assert texts(tmp_path) == {present: "mine"}


def test_a_folder_that_cannot_be_written_is_an_error_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = CliRunner().invoke(app, ["new", "churn", "--folder", str(tmp_path / "file")])
    assert done.exit_code == 1
    assert "Error:" in done.stderr


def test_the_project_requires_these_packages_in_these_versions() -> None:
    lines = (TEMPLATE / "requirements.txt").read_text().splitlines()
    wanted = {(found.name, str(found.specifier)) for found in map(Requirement, lines[1:])}
    files = [ROOT / folder / "pyproject.toml" for folder in DISTRIBUTIONS]
    projects = [tomllib.loads(path.read_text())["project"] for path in files]
    assert wanted == {(project["name"], f"=={project['version']}") for project in projects}


def test_the_project_has_the_overrides_that_this_checkout_needs() -> None:
    assert (TEMPLATE / "overrides.txt").read_text() == (ROOT / "overrides.txt").read_text()
