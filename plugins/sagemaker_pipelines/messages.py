"""Keep messages short, and say where they were cut."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence


def cut(text: str, limit: int, *, size: Callable[[str], int] = len) -> str:
    """Return a text that is not larger than ``limit``; if it was cut, its end says so.

    :param text: any text.
    :param limit: the largest size, at least 100.
    :param size: measures a text; it must grow with the text. Default the number of characters.
    """
    if size(text) <= limit:
        return text
    note = f"... (cut: {len(text):,} characters in all)"
    kept = bisect_right(range(len(text)), limit, key=lambda length: size(text[:length] + note)) - 1
    return text[: max(kept, 0)] + note


def listed(items: Sequence[str], limit: int = 10) -> str:
    """Return a list as text that names the first items and counts the rest.

    :param items: the items.
    :param limit: how many are named at most, default 10.
    """
    rest = f" and {len(items) - limit:,} more" if len(items) > limit else ""
    return ", ".join(items[:limit]) + rest
