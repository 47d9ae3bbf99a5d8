"""Keep what people are told within bounds, and say where it was cut."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence


def cut(text: str, limit: int, *, size: Callable[[str], int] = len) -> str:
    """Return a text that is not larger than ``limit``, whose end says so where it was cut.

    :param text: any text.
    :param limit: the largest size, at least 100.
    :param size: what a text counts for, which grows with it; default its characters.
    """
    if size(text) <= limit:
        return text
    note = f"... (cut: {len(text):,} characters in all)"
    kept = bisect_right(range(len(text)), limit, key=lambda length: size(text[:length] + note)) - 1
    return text[: max(kept, 0)] + note


def listed(items: Sequence[str], limit: int = 10) -> str:
    """Return items as an enumeration that names the first ones and counts the rest.

    :param items: what to name.
    :param limit: how many are named, default 10.
    """
    rest = f" and {len(items) - limit:,} more" if len(items) > limit else ""
    return ", ".join(items[:limit]) + rest
