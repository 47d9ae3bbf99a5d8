"""Read JSON and numbers from outside, and refuse what Python alone would accept."""

from __future__ import annotations

import json
import math
import re
from typing import Any

# Python's int() and float() also accept 1_000, and the digits of every script.
INTEGER = re.compile(r"[+-]?[0-9]+")
DECIMAL = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")


def parse_json(text: str | bytes) -> Any:
    """Return the value of a JSON text.

    :param text: the text; bytes are UTF-8, UTF-16 or UTF-32.
    :raises ValueError: it is not JSON, is nested too deeply, or an object has the same key twice.
    """
    try:
        return json.loads(text, object_pairs_hook=_without_duplicates)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def parse_portable_json(text: str | bytes) -> Any:
    """Return the value of a JSON text that can be written again, as every parser reads it.

    :param text: see :func:`parse_json`.
    :raises ValueError: also if it has a number such as NaN or 1e999, or a part of a surrogate pair.
    """
    value = parse_json(text)
    json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    return value


def whole_number(text: str) -> int:
    """Return the whole number that a text contains in ASCII digits.

    :param text: such as ``"12"`` or ``"-3"``; surrounding blanks are ignored.
    :raises ValueError: it is not a whole number.
    """
    stripped = text.strip()
    if INTEGER.fullmatch(stripped) is None:
        raise ValueError(f"{text!r} is not a whole number")
    return int(stripped)


def finite_number(text: str) -> float:
    """Return the finite number that a text contains in ASCII digits.

    :param text: such as ``"6"``, ``"-0.5"`` or ``"1e-3"``; surrounding blanks are ignored.
    :raises ValueError: it is not a number, or it is too large.
    """
    # strip() removes some characters, such as \x1f, that float() does not accept as blanks.
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
