"""Every code block of the documentation is run by a test, or is marked as output."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import sagemaker_pipelines
from stack.settings import ROOT
from tests.documents import DOCS, Block, read

# The page of the shell command is generated.
PAGES = sorted(
    str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md") if path != DOCS / "reference" / "command.md"
)
TESTS = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py"))
ASKED = set(re.findall(r'\bblocks\(\s*"([\w/.-]+\.md)", "(\w+)"', TESTS))


def is_output(block: Block) -> bool:
    """A session shows what its commands print; without any output, its commands are to be run."""
    lines = block.code.splitlines()
    return block.language == "text" or (
        block.language == "console" and any(not line.startswith("$ ") for line in lines)
    )


@pytest.mark.parametrize("page", [*PAGES, "../README.md", "../CONTRIBUTING.md"])
def test_every_block_is_run_or_is_output(page: str) -> None:
    for block in read(page):
        assert block.is_not_run or is_output(block) or (page, block.language) in ASKED, (
            f"{page}: no test asks for blocks({page!r}, {block.language!r}). Run this block in a test, call "
            f"output `text` or `console`, or write <!-- not run: REASON --> above it:\n{block.code}"
        )


def test_every_page_that_is_asked_for_has_such_a_block() -> None:
    """A test that asks for blocks that are gone tests nothing."""
    for page, language in ASKED:
        assert any(block.language == language and not block.is_not_run for block in read(page)), page


def test_the_readme_is_one_screen_that_ends_in_pictures() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 120
    pictures = re.findall(r"^!\[.+\]\((docs/images/.+)\)$", "\n".join(lines), re.MULTILINE)
    assert [Path(picture).name for picture in pictures] == ["page-dag.png", "graph-accepted.png"]


def test_every_link_of_the_readme_and_of_contributing_leads_somewhere() -> None:
    """The other pages are checked by ``make check``, which builds the site."""
    for name in ("README.md", "CONTRIBUTING.md"):
        for link in re.findall(r"\]\((?!http)([^)#]+)", (ROOT / name).read_text(encoding="utf-8")):
            assert (ROOT / link).exists(), f"{name}: {link}"


def test_everything_public_is_in_the_reference_once() -> None:
    pages = "\n".join(path.read_text(encoding="utf-8") for path in (DOCS / "reference").glob("*.rst"))
    documented = re.findall(r"^\.\. auto(?:class|function):: (\w+)$", pages, re.MULTILINE)
    assert sorted(documented) == sorted(sagemaker_pipelines.__all__)
