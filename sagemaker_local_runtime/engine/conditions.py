"""Evaluate the conditions of a Condition step whose expressions have been resolved."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sagemaker_local_runtime.exceptions import ResolutionError

_ORDERINGS: Mapping[str, Callable[[Any, Any], bool]] = {
    "GreaterThan": operator.gt,
    "GreaterThanOrEqualTo": operator.ge,
    "LessThan": operator.lt,
    "LessThanOrEqualTo": operator.le,
}

CONDITIONS = frozenset({"Equals", "In", "Not", "Or", *_ORDERINGS})


def all_hold(conditions: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether every condition in the list holds; an empty list holds.

    :raises ResolutionError: two values cannot be compared.
    """
    return all(holds(condition) for condition in conditions)


def holds(condition: Mapping[str, Any]) -> bool:
    """Return whether one condition with resolved expressions holds.

    :raises ResolutionError: its type is unknown or two values cannot be compared.
    """
    kind = str(condition.get("Type"))
    if kind == "Not":  # the documentation says Expression, the SDK says Condition
        return not holds(condition["Condition"] if "Condition" in condition else condition["Expression"])
    if kind == "Or":
        return any(holds(inner) for inner in condition["Conditions"])
    if kind == "In":
        return any(equal(condition["QueryValue"], value) for value in condition["Values"])
    if kind == "Equals":
        return equal(condition["LeftValue"], condition["RightValue"])
    if kind in _ORDERINGS:
        return _compare(kind, condition["LeftValue"], condition["RightValue"])
    raise ResolutionError(
        f"Unknown condition type {kind!r}; expected one of {', '.join(sorted(CONDITIONS))}."
    )


def equal(left: Any, right: Any) -> bool:
    """Return whether two values are of the same kind (text, number or boolean) and equal."""
    return _kind(left) == _kind(right) and bool(left == right)


def _compare(kind: str, left: Any, right: Any) -> bool:
    if _kind(left) != _kind(right) or _kind(left) in ("boolean", "NaN"):
        raise ResolutionError(
            f"Cannot evaluate {kind}: the left value {left!r} is a {_kind(left)} and the right value "
            f"{right!r} a {_kind(right)}; expected two numbers or two strings."
        )
    return _ORDERINGS[kind](left, right)


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, float) and math.isnan(value):
        return "NaN"  # every ordering is false, so a model that has diverged would not exceed its limit
    if isinstance(value, (int, float)):
        return "number"
    return "string" if isinstance(value, str) else type(value).__name__
