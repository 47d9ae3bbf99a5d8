"""The expressions of Search: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_Filter.html."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from sagemaker_local_runtime.exceptions import ValidationError
from sagemaker_local_runtime.service_model import service_model

_ORDERS: Mapping[str, Callable[[float, float], bool]] = {
    "GreaterThan": operator.gt,
    "GreaterThanOrEqualTo": operator.ge,
    "LessThan": operator.lt,
    "LessThanOrEqualTo": operator.le,
}


def matches(document: Mapping[str, Any], expression: Mapping[str, Any], member: str) -> bool:
    """Return whether a resource is one that a search expression describes.

    :param document: the resource.
    :param expression: a ``SearchExpression``; an empty one matches.
    :param member: the shape of the resource, such as ``TrainingJob``.
    :raises ValidationError: the resource has no such property, or a value cannot be compared.
    """
    results = [
        *(_holds(document, found, member) for found in expression.get("Filters", ())),
        *(_holds_nested(document, found, member) for found in expression.get("NestedFilters", ())),
        *(matches(document, found, member) for found in expression.get("SubExpressions", ())),
    ]
    return any(results) if results and expression.get("Operator") == "Or" else all(results)


def check_name(name: str, member: str) -> None:
    """Refuse the name of a property that a resource cannot have.

    :raises ValidationError: the shape has no such member.
    """
    if name.partition(".")[0] not in service_model().shape_for(member).members:
        raise ValidationError(f"Unknown property name: {name}")


def first_value(document: Mapping[str, Any], name: str) -> Any:
    """Return the value of a property, the first one of a list; None if there is none."""
    return next(_values(document, name), None)


def _holds_nested(document: Mapping[str, Any], nested: Mapping[str, Any], member: str) -> bool:
    """Return whether one element of a list fulfils all filters."""
    name = nested["NestedPropertyName"]
    check_name(name, member)
    filters = [{**found, "Name": found["Name"].removeprefix(f"{name}.")} for found in nested["Filters"]]
    return any(
        all(_compare(list(_values(element, found["Name"])), found) for found in filters)
        for element in _values(document, name)
    )


def _holds(document: Mapping[str, Any], found: Mapping[str, Any], member: str) -> bool:
    check_name(found["Name"], member)
    return _compare(list(_values(document, found["Name"])), found)


def _values(value: Any, name: str) -> Iterator[Any]:
    """Yield the values at a path; an element of a list has it, and ``Tags.team`` is the tag with this key."""
    if isinstance(value, list):
        for element in value:
            if isinstance(element, dict) and element.keys() == {"Key", "Value"} and element["Key"] == name:
                yield element["Value"]
            else:
                yield from _values(element, name)
    elif not name:
        yield value
    elif isinstance(value, dict):
        if name in value:
            yield from _values(value[name], "")
        else:
            # The keys of a map may have dots.
            for key in value:
                if name.startswith(f"{key}."):
                    yield from _values(value[key], name.removeprefix(f"{key}."))


def _compare(values: list[Any], found: Mapping[str, Any]) -> bool:
    kind, wanted = str(found.get("Operator", "Equals")), found.get("Value")
    if kind in ("Exists", "NotExists"):
        return bool(values) == (kind == "Exists")
    if wanted is None:
        raise ValidationError(f"The filter on {found['Name']} has no Value, which {kind} needs. Add one.")
    if kind == "NotEquals":
        return not any(_equal(value, wanted) for value in values)
    return any(_fulfils(value, kind, wanted, found["Name"]) for value in values)


def _fulfils(value: Any, kind: str, wanted: str, name: str) -> bool:
    if kind == "Contains":
        return wanted in str(value)
    if kind == "In":
        return any(_equal(value, part.strip()) for part in wanted.split(","))
    if kind == "Equals":
        return _equal(value, wanted)
    number, bound = _number(value), _number(wanted)
    if number is None or bound is None:
        raise ValidationError(
            f"{kind} compares numbers and times, but {name} is {value!r} and the Value is {wanted!r}."
        )
    return _ORDERS[kind](number, bound)


def _equal(value: Any, wanted: str) -> bool:
    if isinstance(value, str):
        return value == wanted
    if isinstance(value, bool):
        return str(value).lower() == wanted.lower()
    return _number(value) == _number(wanted)


def _number(value: Any) -> float | None:
    """Return a number, or the seconds of a time since 1970; None if it is neither."""
    try:
        return float(value)
    except (TypeError, ValueError):
        pass
    try:
        time = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
