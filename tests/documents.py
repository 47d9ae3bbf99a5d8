"""The code blocks of the documentation, for the tests that run them.

``tests/unit/deployment/test_documents.py`` refuses a block that no test asks for here.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from stack.settings import ROOT

DOCS = ROOT / "docs"
_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\S*)\n(?P<code>.*?)^ *```$", re.MULTILINE | re.DOTALL)
_NOT_RUN = re.compile(r"<!-- not run: \S.* -->\n+ *\Z")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    :param language: what follows the opening fence; empty if nothing does.
    :param code: its text, without the indentation of the fence.
    :param is_not_run: whether a comment above it, ``<!-- not run: REASON -->``, says why no test runs it.
    """

    language: str
    code: str
    is_not_run: bool


def read(page: str, section: str = "") -> Iterator[Block]:
    """Yield the blocks of a page below ``docs/``, or of one of its sections."""
    text = (DOCS / page).read_text(encoding="utf-8")
    if section:
        text = text.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    for match in _FENCE.finditer(text):
        yield Block(
            match["language"],
            textwrap.dedent(match["code"]),
            _NOT_RUN.search(text, 0, match.start()) is not None,
        )


def blocks(page: str, language: str, section: str = "") -> list[str]:
    """Return the blocks of a language that are to be run, in the order of the page.

    :param page: its path below ``docs/``, written out, since the test of all pages looks for it.
    :param language: as after the fence, written out, too.
    :param section: the heading of a section; by default the whole page.
    """
    found = [block for block in read(page, section) if not block.is_not_run]
    return [block.code for block in found if block.language == language]
