"""Keep what people are told within bounds, and say where it was cut."""

from __future__ import annotations

from collections.abc import Sequence


def cut(text: str, limit: int) -> str:
    """Return a text of at most ``limit`` characters, whose end says that it was cut.

    :param text: any text.
    :param limit: at least 60.
    """
    if len(text) <= limit:
        return text
    note = f"... (cut: {len(text):,} characters in all)"
    return text[: limit - len(note)] + note


def cut_bytes(text: str, limit: int) -> str:
    """Return a text of at most ``limit`` bytes in UTF-8, whose end says that it was cut.

    :param text: any text.
    :param limit: at least 60.
    """
    encoded = text.encode()
    if len(encoded) <= limit:
        return text
    note = f"... (cut: {len(encoded):,} bytes in all)"
    return encoded[: limit - len(note)].decode(errors="ignore") + note


def listed(items: Sequence[str], limit: int = 10) -> str:
    """Return items as an enumeration that names the first ones and counts the rest.

    :param items: what to name.
    :param limit: how many are named, default 10.
    """
    rest = f" and {len(items) - limit:,} more" if len(items) > limit else ""
    return ", ".join(items[:limit]) + rest
