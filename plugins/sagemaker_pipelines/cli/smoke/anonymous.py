"""Replace in a text what identifies an account, its people or its resources."""

from __future__ import annotations

import re
from collections.abc import Mapping

# In this order: what is left of an ARN or a URI after a name in it was replaced still goes as a whole.
_PATTERNS = (
    (re.compile(r"\barn:[^\s'\",;)\]]+"), "<arn>"),
    (re.compile(r"\bs3://[^\s'\",;)\]]+"), "<uri>"),
    (re.compile(r"\bhttps?://[^\s'\",;)\]]+"), "<url>"),
    (re.compile(r"\b(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{12,}\b"), "<key>"),
    (re.compile(r"\b[^\s'\",;(]+@[^\s'\",;)]+\b"), "<person>"),
    (re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"), "<id>"),
    (re.compile(r"\b[0-9a-fA-F]{20,}\b"), "<id>"),
    (re.compile(r"(?<!\d)\d{12}(?!\d)"), "<account>"),
    (re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b"), "<ip>"),
)


class Anonymizer:
    """Replaces names that are known, and everything that has the form of an identifier.

    :param names: labels by name, such as ``{"ml-prod": "<bucket>"}``; empty names are ignored.
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        # The longest first, because one name may contain another.
        ordered = sorted((name for name in names if name), key=len, reverse=True)
        self._known = re.compile("|".join(map(_whole, ordered))) if ordered else None
        self._names = names

    def __call__(self, text: str) -> str:
        """Return the text without what identifies."""
        if self._known is not None:
            text = self._known.sub(lambda found: self._names[found[0]], text)
        for pattern, label in _PATTERNS:
            text = pattern.sub(label, text)
        return text


def _whole(name: str) -> str:
    """Return a pattern that does not find the name in the middle of a word."""
    end = r"(?![a-zA-Z0-9])" if name[-1].isalnum() else ""
    return rf"(?<![a-zA-Z0-9]){re.escape(name)}{end}" if name[0].isalnum() else re.escape(name) + end
