"""Follow the path of a ``Std:JsonGet`` into a JSON document.

A path names one value: ``regression_metrics.mse.value``, ``$.classes[0].f1``, ``metrics['validation:rmse']``.
Anything that can select several values (``*``, ``..``, slices, filters) is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_PART = re.compile(
    r"""
    (?P<dot>\.)? (?P<name>[\w@-]+)
    | \[ (?P<index>[0-9]{1,18}) \]
    | \[ (?P<quote>['"]) (?P<quoted>(?:\\.|(?!(?P=quote))[^\\])*) (?P=quote) \]
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_MAX_SHOWN = 20


def value_at(document: Any, path: str) -> Any:
    """Return the value at a path of a document.

    :param document: parsed JSON.
    :param path: names and indexes, with or without ``$`` at the start.
    :raises ValueError: the path does not name a single value.
    :raises LookupError: the document has nothing there; the message says what it has instead.
    """
    value, followed = document, ""
    for key, text in _parts(path):
        if isinstance(key, str):
            found = isinstance(value, Mapping) and key in value
        else:
            found = isinstance(value, list) and key < len(value)
        if not found:
            raise LookupError(f"at {followed or 'the top level'} there is {_summary(value)}")
        value, followed = value[key], followed + text
    return value


def _parts(path: str) -> list[tuple[str | int, str]]:
    """Return the keys of a path, each with its text in the path."""
    parts: list[tuple[str | int, str]] = []
    begin = position = 1 if path.startswith("$") else 0
    while position < len(path):
        part = _PART.match(path, position)
        # Every name has a dot before it, except that the first one has a dot only after "$".
        needs_dot = position > 0
        if part is None or (part["name"] is not None and bool(part["dot"]) != needs_dot):
            break
        position = part.end()
        parts.append((_key(part), part[0]))
    if position < len(path) or not (parts or begin):
        raise ValueError(
            f"{path!r} is not a path that JsonGet accepts: {path[position:]!r} is neither a name nor an "
            "index. Write names and indexes that lead to one value, such as metrics.mse.value or "
            "folds[0]['f1']."
        )
    return parts


def _key(part: re.Match[str]) -> str | int:
    if part["index"] is not None:
        return int(part["index"])
    return str(part["name"]) if part["name"] is not None else _ESCAPED.sub(r"\1", part["quoted"])


def _summary(value: Any) -> str:
    """Return a summary of a value: the names in an object, or the type of anything else."""
    if not isinstance(value, Mapping):
        return type(value).__name__
    names = sorted(value)
    more = f" and {len(names) - _MAX_SHOWN} more" if len(names) > _MAX_SHOWN else ""
    return f"{names[:_MAX_SHOWN]}{more}"
