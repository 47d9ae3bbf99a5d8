"""One random mutation of a sound definition's arguments is always found."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagemaker_pipelines.definition import Envelope, iter_steps, lint
from sagemaker_pipelines.definition.references import is_expression
from sagemaker_pipelines.definition.step_shapes import CALLS, step_shape
from stack.definitions import DEFINITIONS
from tests.unit.definition.samples import MODEL, definition_of, processing, sound_definition, training


@dataclass(frozen=True)
class Found:
    """A value of a step's arguments, with its shape and what holds it."""

    step: str
    shape: Any
    holder: Any
    key: Any

    @property
    def value(self) -> Any:
        return self.holder[self.key]

    def replace(self, value: Any) -> None:
        self.holder[self.key] = value


def _inside(found: Found) -> Iterator[Found]:
    """Yield a value and every value inside it, but no expression."""
    value, shape = found.value, found.shape
    if value is None or is_expression(value):
        return
    yield found
    shapes: dict[Any, Any] = {}
    if shape.type_name == "structure":
        shapes = {key: shape.members[key] for key in value}
    elif shape.type_name == "list":
        shapes = dict.fromkeys(range(len(value)), shape.member)
    elif shape.type_name == "map":
        shapes = dict.fromkeys(value, shape.value)
    for key, child in shapes.items():
        yield from _inside(Found(found.step, child, value, key))


def _found(definition: dict[str, Any]) -> list[Found]:
    steps = [step for step in iter_steps(definition) if step["Type"] in CALLS]
    roots = [Found(step["Name"], step_shape(step["Type"], MODEL), step, "Arguments") for step in steps]
    return [found for root in roots for found in _inside(root)]


VALID = {
    "abalone": Envelope.load(DEFINITIONS / "abalone.json").definition,
    "scoring": Envelope.load(DEFINITIONS / "scoring.json").definition,
    "sample": sound_definition(),
    "training": definition_of(training(), processing()),
}
CONTAINERS = ("structure", "list", "map")


def rename_member(found: Found, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(found.value)))
    renamed = data.draw(st.sampled_from([f"{name}s", name[1:], name.swapcase(), f"{name[0]}{name}"]))
    found.value[renamed] = found.value.pop(name)


def wrong_type(found: Found, data: st.DataObject) -> None:
    wrong = {
        "string": st.sampled_from([1, 1.5, True, [], {}]),
        "integer": st.sampled_from(["1", 1.5, True, []]),
        "long": st.sampled_from(["1", 1.5, True, []]),
        "float": st.sampled_from(["1", True, []]),
        "boolean": st.sampled_from(["true", 1, []]),
    }
    found.replace(data.draw(wrong.get(found.shape.type_name, st.sampled_from(["", 1, True]))))


def out_of_range(found: Found, data: st.DataObject) -> None:
    bounds = {"min": -1, "max": 1}
    key = data.draw(st.sampled_from([key for key in bounds if key in found.shape.metadata]))
    found.replace(found.shape.metadata[key] + bounds[key])


def wrong_enum(found: Found, data: st.DataObject) -> None:
    found.replace(data.draw(st.sampled_from([found.value.swapcase(), f"{found.value} ", ""])))


def expression(found: Found, data: st.DataObject) -> None:
    found.replace(data.draw(st.sampled_from([{"Get": "Parameters.Text"}, {"Std:Join": {"Values": ["a"]}}])))


MUTATIONS: dict[Callable[[Found, st.DataObject], None], Callable[[Found], bool]] = {
    rename_member: lambda found: found.shape.type_name == "structure" and bool(found.value),
    wrong_type: lambda found: True,
    out_of_range: lambda found: (
        found.shape.type_name in ("integer", "float", "long") and bool(found.shape.metadata)
    ),
    wrong_enum: lambda found: bool(getattr(found.shape, "enum", None)),
    expression: lambda found: found.shape.type_name in CONTAINERS,
}


@pytest.mark.parametrize("name", VALID)
def test_a_valid_definition_has_no_problem(name: str) -> None:
    assert lint(VALID[name], MODEL) == []


@pytest.mark.parametrize("mutate", MUTATIONS, ids=lambda mutate: mutate.__name__)
@given(data=st.data())
def test_any_one_mutation_of_a_valid_definition_is_found(
    mutate: Callable[[Found, st.DataObject], None], data: st.DataObject
) -> None:
    definition = copy.deepcopy(VALID[data.draw(st.sampled_from(sorted(VALID)))])
    places = [found for found in _found(definition) if MUTATIONS[mutate](found)]
    if places:
        found = data.draw(st.sampled_from(places))
        mutate(found, data)
        assert [problem for problem in lint(definition, MODEL) if problem.step == found.step]
