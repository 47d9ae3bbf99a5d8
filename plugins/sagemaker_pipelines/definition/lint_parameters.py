"""Check the parameters that a definition declares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from sagemaker_pipelines.definition.limits import PARAMETER_NAME
from sagemaker_pipelines.definition.parameters import (
    MAX_PARAMETERS,
    MAX_VALUE_LENGTH,
    TYPES,
    Parameter,
    as_string,
)
from sagemaker_pipelines.definition.placeholders import has_placeholder
from sagemaker_pipelines.definition.problem import Problem
from sagemaker_pipelines.exceptions import ParameterError

_PYTHON_TYPES: Mapping[str, tuple[type, ...]] = {
    "String": (str,),
    "Integer": (int,),
    "Float": (float, int),
    "Boolean": (bool,),
}


def lint_parameters(definition: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield the problems of the declared parameters: names, types, defaults, enums, count."""
    declared = definition.get("Parameters", [])
    if not isinstance(declared, list) or not all(isinstance(item, dict) for item in declared):
        yield Problem(
            None, "Parameters is not a list of objects", "declare each as {Name, Type, DefaultValue}"
        )
        return
    if len(declared) > MAX_PARAMETERS:
        yield Problem(
            None,
            f"{len(declared)} parameters are declared, SageMaker accepts at most {MAX_PARAMETERS}",
            "move settings into a file that a step reads",
        )
    for name, count in Counter(str(item.get("Name")) for item in declared).items():
        if count > 1:
            yield Problem(None, f"{count} parameters have the name {name}", "give each its own name")
    for item in declared:
        yield from _declaration(item)


def _declaration(item: Mapping[str, Any]) -> Iterator[Problem]:
    name, kind = str(item.get("Name", "")), item.get("Type")
    if PARAMETER_NAME.fullmatch(name) is None:
        yield Problem(
            None,
            f"the parameter name {name!r} is not valid",
            "use 1 to 256 letters, digits, hyphens and underscores",
        )
    if kind not in TYPES:
        yield Problem(None, f"parameter {name} has the type {kind!r}", f"use one of {', '.join(TYPES)}")
        return
    enum = item.get("EnumValues") or []
    if not isinstance(enum, list) or not all(isinstance(value, str) for value in enum):
        yield Problem(None, f"parameter {name} has EnumValues {enum!r}", "make them a list of strings")
        return
    if "DefaultValue" in item:
        yield from _default(Parameter(name, kind, item["DefaultValue"], tuple(enum) or None))


def _default(parameter: Parameter) -> Iterator[Problem]:
    """Check a default: its JSON type first, because SageMaker accepts no string in place of a number."""
    default = parameter.default
    fitting = isinstance(default, _PYTHON_TYPES[parameter.type]) and (
        isinstance(default, bool) == (parameter.type == "Boolean")
    )
    if not fitting:
        yield Problem(
            None,
            f"parameter {parameter.name} has the default {default!r} ({type(default).__name__}), "
            f"which is not of type {parameter.type}",
            f"give it a default of type {parameter.type}",
        )
        return
    if has_placeholder(default):
        return
    try:
        as_string(parameter, default)
    except ParameterError as error:
        message = str(error).removesuffix(".")
        yield Problem(
            None, f"the default is refused: {message}", f"change it (at most {MAX_VALUE_LENGTH} characters)"
        )
