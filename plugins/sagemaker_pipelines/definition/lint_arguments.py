"""Check the arguments of a step against the shape of the Create call that SageMaker makes with them.

SageMaker refuses an unknown member ("Unknown Argument member"), an expression in place of a list ("Expecting
start of Json Array") and too many entries when the pipeline is created:
https://github.com/aws/sagemaker-python-sdk/pull/3472, /issues/2345 and /issues/2554.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sagemaker_pipelines.definition.constraints import BrokenConstraint, broken_constraint
from sagemaker_pipelines.definition.document import objects, value_at
from sagemaker_pipelines.definition.placeholders import has_placeholder
from sagemaker_pipelines.definition.problem import Problem
from sagemaker_pipelines.definition.references import is_expression, references
from sagemaker_pipelines.definition.step_shapes import CALLS, Call, ServiceModel, step_shape

#: The JSON types for the type of a shape, and their name in messages. JSON has no type for times and bytes.
_TYPES: Mapping[str, tuple[tuple[type, ...], str]] = {
    "blob": ((str,), "a string"),
    "boolean": ((bool,), "true or false"),
    "double": ((int, float), "a number"),
    "float": ((int, float), "a number"),
    "integer": ((int,), "a whole number"),
    "list": ((list,), "a list"),
    "long": ((int,), "a whole number"),
    "map": ((dict,), "an object"),
    "object": ((dict,), "an object"),
    "string": ((str,), "a string"),
    "structure": ((dict,), "an object"),
    "timestamp": ((int, float, str), "a time"),
}
_JSON_NAMES: Mapping[type, str] = {
    bool: "a boolean",
    dict: "an object",
    float: "a number",
    int: "a number",
    list: "a list",
    str: "a string",
    type(None): "null",
}
_CONTAINERS = frozenset({"list", "map", "object", "structure"})

#: The types of parameters that may stand for a value of the type; for other types, any parameter may.
_PARAMETERS: Mapping[str, tuple[str, ...]] = {
    "boolean": ("Boolean",),
    "double": ("Float", "Integer"),
    "float": ("Float", "Integer"),
    "integer": ("Integer",),
    "long": ("Integer",),
    "string": ("String",),
}

# New instance types appear too often to keep a list.
_INSTANCE_TYPE = re.compile(r"ml\.[a-z0-9-]+\.[a-z0-9-]+")
_MAX_SHOWN = 80


@dataclass(frozen=True)
class _Place:
    """Where a value is.

    :param path: below the arguments, such as ``Environment[KEY]``; empty for the arguments themselves.
    :param name: the path without indexes and keys, after the step's type: ``Training.Environment``.
    :param secret: whether the value is the user's own entry, which may be a secret and is not shown.
    """

    path: str
    name: str
    secret: bool = False

    def member(self, name: str) -> _Place:
        return _Place(f"{self.path}.{name}" if self.path else name, f"{self.name}.{name}", self.secret)

    def entry(self, key: object, *, secret: bool = False) -> _Place:
        return _Place(f"{self.path}[{key}]", self.name, self.secret or secret)


def lint_arguments(
    name: str, kind: str, step: Mapping[str, Any], definition: Mapping[str, Any], model: ServiceModel
) -> Iterator[Problem]:
    """Yield the problems of one step's arguments.

    :param name: the step's name.
    :param kind: its type, which must be a known one.
    :param step: the step as it is in the definition.
    :param definition: the whole definition, which declares the parameters.
    :param model: botocore's model of SageMaker.
    """
    shape = step_shape(kind, model)
    if shape is None:
        return
    declared = {
        str(item.get("Name")): str(item.get("Type")) for item in objects(definition.get("Parameters"))
    }
    arguments = step.get("Arguments")
    walker = _Walker(name, kind, declared, CALLS.get(kind, Call("")))
    yield from walker.walk(shape, {} if arguments is None else arguments, _Place("", kind))
    if isinstance(arguments, Mapping):
        yield from walker.needs(arguments)


def lint_request(kind: str, request: Mapping[str, Any], shape: Any, operation: str) -> Iterator[Problem]:
    """Yield the problems of a request that is not a step's arguments.

    :param kind: what it creates, with which the names of its members begin: ``Function.Runtime``.
    :param request: the request, with placeholders or filled.
    :param shape: the operation's input.
    :param operation: its name.
    """
    return _Walker("", kind, {}, Call(operation)).walk(shape, request, _Place("", kind))


@dataclass(frozen=True)
class _Walker:
    """Compare the arguments of one step with their shape.

    :param step: the step's name.
    :param kind: its type.
    :param declared: the type of each parameter of the definition.
    :param call: what is special about the step's Create call.
    """

    step: str
    kind: str
    declared: Mapping[str, str]
    call: Call

    def walk(self, shape: Any, value: Any, place: _Place) -> Iterator[Problem]:
        kind = shape.type_name
        if kind == "any":
            return
        if is_expression(value):
            yield from self._expression(kind, value, place)
            return
        types, expected = _TYPES[kind]
        if not isinstance(value, types) or (isinstance(value, bool) and kind != "boolean"):
            yield self._problem(place, f"is {_seen(value, place)}", f"make it {expected}")
        else:
            yield from self._typed(shape, value, place)

    def _typed(self, shape: Any, value: Any, place: _Place) -> Iterator[Problem]:
        """Check a value that has its shape's type."""
        kind = shape.type_name
        if kind == "structure":
            yield from self._structure(shape, value, place)
            return
        broken = list(self._constraint(shape, value, place))
        yield from broken
        if broken:
            return
        if kind == "list":
            for index, item in enumerate(value):
                yield from self.walk(shape.member, item, place.entry(index))
        elif kind == "map":
            for key, item in value.items():
                yield from self._constraint(shape.key, key, place.entry(key))
                yield from self.walk(shape.value, item, place.entry(key, secret=True))

    def needs(self, arguments: Mapping[str, Any]) -> Iterator[Problem]:
        """Check what a pipeline requires or refuses although the shape does not say so."""
        for wanted in self.call.needed:
            if not any(arguments.get(key) for key in wanted.split("|")):
                yield self._missing(_Place("", self.kind), wanted)
        for path in sorted(self.call.refused):
            if value_at(arguments, path) is not None:
                yield Problem(
                    self.step,
                    f"{path} is set, which SageMaker refuses in a pipeline",
                    "remove it",
                    f"{self.kind}.{path}",
                )

    def _structure(self, shape: Any, value: Mapping[str, Any], place: _Place) -> Iterator[Problem]:
        for name in shape.required_members:
            path = place.member(name).name.partition(".")[2]
            # The SDK writes null for members that are not set.
            if value.get(name) is None and path not in self.call.set_by_service:
                yield self._missing(place, name)
        for name, item in value.items():
            if name not in shape.members:
                yield self._unknown(name, list(shape.members), place)
            elif item is not None:
                yield from self.walk(shape.members[name], item, place.member(name))

    def _expression(self, kind: str, value: Mapping[str, Any], place: _Place) -> Iterator[Problem]:
        if kind in _CONTAINERS:
            yield self._problem(
                place,
                f"is {_seen(value, place)}, but an expression may only replace a single value",
                f"make it {_TYPES[kind][1]}, with expressions inside it",
            )
            return
        # Inside a Std:Join a number becomes text: https://github.com/aws/sagemaker-python-sdk/issues/2425
        for reference in references(value) if "Get" in value else ():
            given = self.declared.get(reference.name) if reference.kind == "Parameters" else None
            accepted = _PARAMETERS.get(kind)
            if given is not None and accepted is not None and given not in accepted:
                # AWS does not document that it refuses text where it expects a number.
                yield self._problem(
                    place,
                    f"is the {given} parameter {reference.name}",
                    "SageMaker expects text there: use the parameter's to_string()"
                    if kind == "string"
                    else f"declare the parameter as {' or '.join(accepted)}",
                    certain=kind == "string",
                )

    def _constraint(self, shape: Any, value: Any, place: _Place) -> Iterator[Problem]:
        if has_placeholder(value):
            return
        if shape.name.endswith("InstanceType") and getattr(shape, "enum", None):
            if _INSTANCE_TYPE.fullmatch(value) is None:
                yield self._problem(
                    place, f"is {value!r}", "give it an instance type of the form ml.<family>.<size>"
                )
            return
        broken = broken_constraint(shape, value)
        if broken is not None:
            yield self._broken(broken, value, place)

    def _broken(self, broken: BrokenConstraint, value: Any, place: _Place) -> Problem:
        limit = broken.limit
        if broken.kind == "enum":
            message, fix = f"is {_seen(value, place)}", _nearest(value, limit)
        elif broken.kind == "pattern":
            message, fix = f"is {_seen(value, place)}", f"make it match the pattern {limit}"
        else:
            bound = f"at {'least' if broken.kind == 'min' else 'most'} {limit}"
            if broken.noun == "value":
                message, fix = f"is {_seen(value, place)}", f"make it {bound}"
            else:
                noun = "characters" if isinstance(value, str) else "entries"
                message, fix = f"has {len(value)} {noun}", f"SageMaker accepts {bound}: change it"
        # AWS adds values to enums all the time.
        return self._problem(place, message, fix, certain=broken.kind != "enum")

    def _unknown(self, name: str, known: Sequence[str], place: _Place) -> Problem:
        there = place.member(name)
        return Problem(
            self.step,
            f"Unknown Argument member {there.path!r} of a {self.kind} step",
            _nearest(name, known),
            there.name,
            certain=False,
        )

    def _missing(self, place: _Place, wanted: str) -> Problem:
        where = place.path or f"the {self.kind} step"
        name = self._override(place.member(wanted.split("|")[0]))
        return Problem(self.step, f"{where} has no {wanted.replace('|', ' or ')}", "add it", name)

    def _problem(self, place: _Place, message: str, fix: str, *, certain: bool = True) -> Problem:
        return Problem(
            self.step, f"{place.path or 'Arguments'} {message}", fix, self._override(place), certain
        )

    def _override(self, place: _Place) -> str:
        """Return the name that allows a problem; empty for types without a Create call."""
        return place.name if self.call.operation else ""


def _nearest(name: str, known: Sequence[str]) -> str:
    by_lower_case = {item.lower(): item for item in known}
    near = difflib.get_close_matches(name.lower(), by_lower_case, n=1)
    if near:
        return f"use {by_lower_case[near[0]]!r}"
    return f"use one of {', '.join(sorted(known))}" if known else "remove it"


def _seen(value: Any, place: _Place) -> str:
    """Return a value as JSON, truncated; only its type if it may be a secret."""
    if place.secret:
        return _JSON_NAMES[type(value)]
    text = json.dumps(value, default=str)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."
