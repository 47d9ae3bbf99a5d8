"""Commands that other packages add by entry points."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

MODULE = """
import typer

def greet(name: str) -> None:
    "Greet somebody."
    typer.echo(f"Hello {name}")

app = typer.Typer()
app.command("one")(greet)
app.command("two")(greet)
"""
ENTRY_POINTS = """
[sagemaker_pipelines.commands]
greet = added_commands:greet
many = added_commands:app
broken = no_such_module:app
"""


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder with an installed distribution that adds three commands, of which one cannot be imported."""
    (tmp_path / "added_commands.py").write_text(MODULE)
    folder = tmp_path / "added-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: added\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(ENTRY_POINTS)
    return tmp_path


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(folder), str(Path.cwd() / "plugins")])
    return subprocess.run(
        [sys.executable, "-m", "sagemaker_pipelines", *arguments],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("command", [("greet",), ("many", "two")])
def test_a_function_is_a_command_and_an_app_is_a_group(installed: Path, command: tuple[str, ...]) -> None:
    done = run(installed, *command, "Ann")
    assert (done.returncode, done.stdout) == (0, "Hello Ann\n")


def test_a_command_that_cannot_be_imported_is_named_and_leaves_the_others(installed: Path) -> None:
    done = run(installed, "show", "--help")
    assert done.returncode == 0
    assert "the command broken is missing, because no_such_module:app cannot be imported" in done.stderr
