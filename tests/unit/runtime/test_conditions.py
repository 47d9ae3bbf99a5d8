"""Conditions compare like with like."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagemaker_local_runtime.engine.conditions import all_hold, equal, holds
from sagemaker_local_runtime.exceptions import ResolutionError

ORDERINGS: dict[str, Callable[[Any, Any], bool]] = {
    "GreaterThan": operator.gt,
    "GreaterThanOrEqualTo": operator.ge,
    "LessThan": operator.lt,
    "LessThanOrEqualTo": operator.le,
}
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
scalars = numbers | st.text() | st.booleans()


def comparison(kind: str, left: Any, right: Any) -> dict[str, Any]:
    return {"Type": kind, "LeftValue": left, "RightValue": right}


@given(st.sampled_from(sorted(ORDERINGS)), numbers, numbers)
def test_orderings_of_numbers_are_pythons(kind: str, left: float, right: float) -> None:
    assert holds(comparison(kind, left, right)) is ORDERINGS[kind](left, right)


@given(st.sampled_from(sorted(ORDERINGS)), st.text(), st.text())
def test_orderings_of_texts_are_pythons(kind: str, left: str, right: str) -> None:
    assert holds(comparison(kind, left, right)) is ORDERINGS[kind](left, right)


@given(st.sampled_from(sorted(ORDERINGS)), numbers, st.text() | st.booleans())
def test_an_ordering_of_different_kinds_is_refused_with_both_values(
    kind: str, left: float, right: Any
) -> None:
    with pytest.raises(ResolutionError) as error:
        holds(comparison(kind, left, right))
    assert repr(left) in str(error.value)
    assert repr(right) in str(error.value)


@given(st.sampled_from(sorted(ORDERINGS)), numbers | st.just(math.nan), st.booleans())
def test_an_ordering_of_nan_is_refused(kind: str, other: float, swapped: bool) -> None:
    values = (other, math.nan) if swapped else (math.nan, other)
    with pytest.raises(ResolutionError, match=r"value nan (is )?a NaN"):
        holds(comparison(kind, *values))


@given(scalars)
def test_equals_is_reflexive(value: Any) -> None:
    assert holds(comparison("Equals", value, value))


@pytest.mark.parametrize(("left", "right"), [(True, 1), ("6.0", 6.0), ("true", True), (0, False)])
def test_values_of_different_kinds_are_not_equal(left: Any, right: Any) -> None:
    assert not equal(left, right)


@given(scalars, st.lists(scalars))
def test_in_holds_when_one_of_the_values_is_equal(value: Any, values: list[Any]) -> None:
    condition = {"Type": "In", "QueryValue": value, "Values": values}
    assert holds(condition) is any(equal(value, item) for item in values)


constants = st.builds(lambda flag: comparison("Equals", flag, True), st.booleans())
trees = st.recursive(
    constants,
    lambda inner: (
        st.builds(lambda c: {"Type": "Not", "Condition": c}, inner)
        | st.builds(lambda c: {"Type": "Not", "Expression": c}, inner)
        | st.builds(lambda cs: {"Type": "Or", "Conditions": cs}, st.lists(inner, max_size=3))
    ),
    max_leaves=10,
)


def truth(condition: dict[str, Any]) -> bool:
    if condition["Type"] == "Not":
        return not truth(condition.get("Condition") or condition["Expression"])
    if condition["Type"] == "Or":
        return any(map(truth, condition["Conditions"]))
    return bool(condition["LeftValue"])


@given(st.lists(trees, max_size=4))
def test_a_list_holds_when_all_its_conditions_do(conditions: list[dict[str, Any]]) -> None:
    assert all_hold(conditions) is all(map(truth, conditions))


def test_an_unknown_condition_is_refused_by_name() -> None:
    with pytest.raises(ResolutionError, match="'Like'"):
        holds(comparison("Like", "a", "a%"))
