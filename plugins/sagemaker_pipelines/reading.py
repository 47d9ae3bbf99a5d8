"""Read JSON and numbers that others wrote, and refuse what Python alone would let pass."""

from __future__ import annotations

import json
import math
import re
from typing import Any

# Python's int() and float() take 1_000 too, and the digits of every script.
INTEGER = re.compile(r"[+-]?[0-9]+")
DECIMAL = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")


def parse_json(text: str | bytes) -> Any:
    """Return the value of a JSON text.

    :param text: the text; bytes are UTF-8, UTF-16 or UTF-32.
    :raises ValueError: it is not JSON, is nested too deeply to be read, or has a key twice in one object.
    """
    try:
        return json.loads(text, object_pairs_hook=_without_duplicates)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def whole_number(text: str) -> int:
    """Return the whole number that a text spells in ASCII digits.

    :param text: such as ``"12"`` or ``"-3"``; blanks around it do not count.
    :raises ValueError: it spells none.
    """
    stripped = text.strip()
    if INTEGER.fullmatch(stripped) is None:
        raise ValueError(f"{text!r} is not a whole number")
    return int(stripped)


def finite_number(text: str) -> float:
    """Return the finite number that a text spells in ASCII digits.

    :param text: such as ``"6"``, ``"-0.5"`` or ``"1e-3"``; blanks around it do not count.
    :raises ValueError: it spells none, or one that is too large.
    """
    # What strip() takes for a blank, such as \x1f, float() does not.
    stripped = text.strip()
    if DECIMAL.fullmatch(stripped) is None or not math.isfinite(number := float(stripped)):
        raise ValueError(f"{text!r} is not a finite number")
    return number


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"it has the key {key!r} twice in one object")
        found[key] = value
    return found
