"""docs/compile.md: its example compiles, and its commands have the options that they use."""

from __future__ import annotations

import inspect
import json
import re

import pytest

from sagemaker_compile.archives import IGNORED
from sagemaker_compile.cli import compile_command
from sagemaker_compile.compile import compile_pipeline
from stack.settings import ROOT
from tests.unit.sagemaker_compile.conftest import Project

PAGE = (ROOT / "docs" / "compile.md").read_text()


@pytest.mark.thorough
def test_the_example_compiles_with_its_code_folder(project: Project) -> None:
    [example] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    source = project(example)
    (source.folder / "src").mkdir()
    (source.folder / "src" / "count.py").write_text("print(3)\n")
    document = json.loads(compile_pipeline(source).envelope)
    assert document["description"] == "Count the rows of a file."
    assert "sourcedir.tar.gz" in {asset["name"] for asset in document["assets"]}


def test_every_option_of_its_commands_exists() -> None:
    commands = re.findall(r"^\$ sagemaker-pipelines compile (.*)$", PAGE, re.MULTILINE)
    used = {option for command in commands for option in re.findall(r"--(\w+)", command)}
    assert used == {"sources", "out", "python"}
    assert used | {"check"} <= inspect.signature(compile_command).parameters.keys()


def test_it_names_what_is_left_out_of_assets() -> None:
    assert all(f"`{pattern}`" in PAGE for pattern in IGNORED)
