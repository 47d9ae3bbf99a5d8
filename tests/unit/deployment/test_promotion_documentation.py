"""docs/promotion.md: its example, its options and its numbers."""

from __future__ import annotations

import re
import runpy

from typer.testing import CliRunner

from sagemaker_pipelines.aws.promoted import PROMOTED_FROM
from sagemaker_pipelines.aws.promotion import PROMOTED_DEFINITION, PROMOTED_EXECUTION
from sagemaker_pipelines.aws.proof import MAX_EXECUTIONS
from sagemaker_pipelines.cli import app
from stack.settings import ROOT
from tests.documents import blocks

DOCS = ROOT / "docs"
TEXT = (DOCS / "promotion.md").read_text()


def test_the_documented_dags_are_the_examples_and_can_be_parsed() -> None:
    shown, scoring = blocks("promotion.md", "python")
    path = DOCS / "examples" / "promote.py"
    assert shown == path.read_text()
    assert scoring == (DOCS / "examples" / "score_approved.py").read_text()
    assert max(len(each.splitlines()) for each in (shown, scoring)) < 40
    promote = runpy.run_path(str(path))["promote"]
    assert promote.downstream_task_ids == {"notify"}


def test_every_option_that_is_named_exists() -> None:
    help_text = CliRunner().invoke(app, ["promote", "--help"], env={"COLUMNS": "200"}).output
    options = set(re.findall(r"--[a-z][a-z-]+", re.sub(r"\x1b\[[0-9;]*m", "", help_text)))
    assert set(re.findall(r"--[a-z][a-z-]+", TEXT)) <= options


def test_the_numbers_are_right() -> None:
    assert f"the {MAX_EXECUTIONS} newest executions" in TEXT
    for name in (PROMOTED_FROM, PROMOTED_EXECUTION, PROMOTED_DEFINITION):
        assert f"| `{name}` |" in TEXT
