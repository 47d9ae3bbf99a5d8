"""Another Python builds the same, and says what it lacks."""

from __future__ import annotations

import sys
import venv
from pathlib import Path

import pytest

from sagemaker_compile.capture import capture
from sagemaker_compile.exceptions import CompileError
from sagemaker_compile.interpreter import capture_with
from tests.unit.sagemaker_compile.conftest import Project
from tests.unit.sagemaker_compile.test_capture import FAIL

SCRIPT = f"{FAIL}pipeline = made('Own', PipelineSession(), PipelineSession().upload_data(__file__))\n"


@pytest.mark.thorough
def test_another_process_captures_the_same(project: Project) -> None:
    source = project(SCRIPT)
    assert capture_with(Path(sys.executable), [source]) == [capture(source)]


@pytest.mark.thorough
def test_what_it_refuses_has_the_same_message(project: Project) -> None:
    source = project(f"{FAIL}def build(session):\n    return None\n")
    with pytest.raises(CompileError, match=r"build\(session\) of .* returned None, expected a Pipeline"):
        capture_with(Path(sys.executable), [source])


@pytest.mark.thorough
def test_a_project_that_ends_its_process_is_named(project: Project) -> None:
    source = project('"""Ends."""\nimport os\nos._exit(3)\n')
    with pytest.raises(CompileError, match=r"ended with exit code 3 while it built demo: see its output"):
        capture_with(Path(sys.executable), [source])


def test_an_environment_without_the_packages_is_refused_with_the_command_that_installs_them(
    project: Project, tmp_path: Path
) -> None:
    """The packages of the compiler's own environment are not used in their place."""
    venv.create(tmp_path / "bare", with_pip=False)
    python = tmp_path / "bare" / "bin" / "python"
    message = rf"{python} has no package sagemaker and no package moto, .* {python} -m pip install"
    with pytest.raises(CompileError, match=message):
        capture_with(python, [project(SCRIPT)])


@pytest.mark.parametrize("name", ["missing/bin/python", "."])
def test_what_is_no_interpreter_is_refused(project: Project, name: str) -> None:
    with pytest.raises(CompileError, match=r"--python is .*, which is not a program that can be run"):
        capture_with(Path(name), [project(SCRIPT)])
