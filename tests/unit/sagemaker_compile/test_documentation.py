"""docs/compile.md: its example compiles, and its commands have the options that they use."""

from __future__ import annotations

import inspect
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from sagemaker_compile.archives import IGNORED
from sagemaker_compile.cli import compile_command
from sagemaker_compile.compile import compile_pipeline
from sagemaker_pipelines.definition import Envelope
from stack.settings import ROOT
from tests.documents import blocks
from tests.unit.sagemaker_compile.conftest import Project

EXAMPLE_END = """
from sagemaker.mlops.workflow.pipeline import Pipeline

pipeline = Pipeline("SmokeTested", steps=[smoke_test], sagemaker_session=PipelineSession())
"""
PAGE = (ROOT / "docs" / "compile.md").read_text()


@pytest.mark.thorough
def test_the_example_compiles_with_its_code_folder(project: Project) -> None:
    source = project(blocks("compile.md", "python")[0])
    (source.folder / "src").mkdir()
    (source.folder / "src" / "count.py").write_text("print(3)\n")
    document = json.loads(compile_pipeline(source).envelope)
    assert document["description"] == "Count the rows of a file."
    assert "sourcedir.tar.gz" in {asset["name"] for asset in document["assets"]}


@pytest.mark.thorough
def test_the_command_compiles_each_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "pipelines" / "count" / "src"
    source.mkdir(parents=True)
    (source / "count.py").write_text("print(3)\n")
    (source.parent / "pipeline.py").write_text(blocks("compile.md", "python")[0])
    monkeypatch.chdir(tmp_path)
    (command,) = blocks("compile.md", "sh")
    program, *arguments = shlex.split(command)
    assert program == "sagemaker-pipelines"
    done = subprocess.run(
        [sys.executable, "-m", "sagemaker_pipelines", *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert Envelope.load(tmp_path / "dags" / "definitions" / "count.json").description


@pytest.mark.thorough
def test_the_example_of_a_function_compiles(project: Project) -> None:
    source = project(f'"""Smoke-test."""\n{blocks("compile.md", "python")[1]}{EXAMPLE_END}')
    (source.folder / "smoke_test.py").write_text("def run(event, context):\n    return {'passed': True}\n")
    [function] = json.loads(compile_pipeline(source).envelope)["functions"]
    assert function["name"] == "smoke-test"


def test_every_option_of_its_commands_exists() -> None:
    commands = re.findall(r"^sagemaker-pipelines compile (.*)$", PAGE, re.MULTILINE)
    used = {option for command in commands for option in re.findall(r"--(\w+)", command)}
    assert used == {"sources", "out", "python"}
    assert used | {"check"} <= inspect.signature(compile_command).parameters.keys()


def test_it_names_what_is_left_out_of_assets() -> None:
    assert all(f"`{pattern}`" in PAGE for pattern in IGNORED)
