"""Compare one value with the constraint of its shape: an enum, a range, a length or a pattern.

A shape is one of botocore's shapes, or anything with the same attributes.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

# AWS's patterns are matched against text from any source, and may take very long on a long text.
_MAX_PATTERN_INPUT = 100_000

_MATCHES_EVERYTHING = re.compile(
    r"\^?(\.\*|\[\\S\\s\]\*|\[\\s\\S\]\*|\.\*\(\?:\[ \\r\\n\\t\]\.\*\)\*)\$?",
)


@dataclass(frozen=True)
class BrokenConstraint:
    """A constraint that a value breaks.

    :param kind: the kind of constraint.
    :param limit: the values of the enum, the bound, or the pattern.
    :param noun: what the bound applies to: the ``value`` of a number, the ``length`` of anything else.
    """

    kind: Literal["enum", "min", "max", "pattern"]
    limit: Any
    noun: str


def broken_constraint(shape: Any, value: Any) -> BrokenConstraint | None:
    """Return the first constraint of a shape that a value breaks, or None.

    :param shape: the shape of the value.
    :param value: a value that has the shape's type.
    """
    size, noun = _size(value)
    if enum := getattr(shape, "enum", None):
        return None if value in enum else BrokenConstraint("enum", enum, noun)
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and size < low:
        return BrokenConstraint("min", low, noun)
    if high is not None and size > high:
        return BrokenConstraint("max", high, noun)
    pattern = shape.metadata.get("pattern")
    if pattern and isinstance(value, str) and not _matches(pattern, value):
        return BrokenConstraint("pattern", pattern, noun)
    return None


def _size(value: Any) -> tuple[float, str]:
    if isinstance(value, str | list | dict):
        return len(value), "length"
    number = 0 if isinstance(value, bool) else value
    return (number if not math.isnan(number) else 0), "value"


def _matches(pattern: str, value: str) -> bool:
    compiled = _compiled(pattern)
    return compiled is None or len(value) > _MAX_PATTERN_INPUT or compiled.fullmatch(value) is not None


@cache
def _compiled(pattern: str) -> re.Pattern[str] | None:
    """Compile AWS's Java pattern; None where Python cannot compile it, so that only AWS checks it."""
    # `.*` and similar patterns match everything, but take time.
    if _MATCHES_EVERYTHING.fullmatch(pattern):
        return None
    try:
        return re.compile(pattern)
    except re.error:
        return None
