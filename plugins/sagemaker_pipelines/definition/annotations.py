"""What a definition cannot say about its parameters: descriptions, ranges, patterns, sections of the form."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from sagemaker_pipelines.definition.parameters import Parameter, as_string
from sagemaker_pipelines.exceptions import DefinitionError, ParameterError

_NUMBER_TYPES = frozenset({"Integer", "Float"})
_KEYS: Mapping[str, tuple[type, ...]] = {
    "description": (str,),
    "section": (str,),
    "pattern": (str,),
    "minimum": (int, float),
    "maximum": (int, float),
}


def annotate(
    parameters: Iterable[Parameter], annotations: Mapping[str, Mapping[str, Any]]
) -> tuple[Parameter, ...]:
    """Return the parameters with their annotations.

    :param parameters: what the definition declares.
    :param annotations: parameter name to any of ``description``, ``section`` (of the trigger form),
        ``pattern`` (a regular expression that a whole String must match) and ``minimum``, ``maximum``
        (inclusive, of an Integer or Float).
    :raise DefinitionError: when a parameter or key is unknown, a value has the wrong type, or the
        parameter's own default does not fit.
    """
    declared = {parameter.name: parameter for parameter in parameters}
    if unknown := sorted(set(annotations) - set(declared)):
        raise DefinitionError(
            f"{unknown[0]} is annotated but is not a parameter of the definition: its parameters are "
            f"{', '.join(declared) or 'none'}. Correct the name or remove the annotation."
        )
    return tuple(_annotated(parameter, annotations.get(name, {})) for name, parameter in declared.items())


def _annotated(parameter: Parameter, annotation: Mapping[str, Any]) -> Parameter:
    for key, value in annotation.items():
        _check_annotation(parameter, key, value)
    annotated = replace(parameter, **annotation)
    if parameter.default is not None and not parameter.has_placeholder_default:
        try:
            as_string(annotated, parameter.default)
        except ParameterError as error:
            raise DefinitionError(
                f"The default does not fit the annotation: {error} Change one of the two."
            ) from error
    return annotated


def _check_annotation(parameter: Parameter, key: str, value: Any) -> None:
    if key not in _KEYS:
        raise DefinitionError(
            f"{parameter.name} has the annotation {key!r}, expected one of {', '.join(_KEYS)}: correct or "
            "remove it."
        )
    if not isinstance(value, _KEYS[key]) or isinstance(value, bool):
        expected = " or ".join(kind.__name__ for kind in _KEYS[key])
        raise DefinitionError(
            f"The annotation {key} of {parameter.name} is {value!r}, expected a value of type {expected}: "
            "correct it."
        )
    if key in {"minimum", "maximum"} and parameter.type not in _NUMBER_TYPES:
        raise DefinitionError(
            f"{parameter.name} has the annotation {key} and the type {parameter.type}, expected Integer or "
            "Float: remove the annotation."
        )
    if key == "pattern":
        _check_pattern(parameter, str(value))


def _check_pattern(parameter: Parameter, pattern: str) -> None:
    if parameter.type != "String":
        raise DefinitionError(
            f"{parameter.name} has the annotation pattern and the type {parameter.type}, expected String: "
            "remove the annotation."
        )
    try:
        re.compile(pattern)
    except re.error as error:
        raise DefinitionError(
            f"The pattern of {parameter.name} is {pattern!r}, expected a regular expression ({error}): "
            "correct it."
        ) from error
