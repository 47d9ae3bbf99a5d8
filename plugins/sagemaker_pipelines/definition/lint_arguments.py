"""Check the arguments of a step: what must be there, how many, how long, and what must be text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sagemaker_pipelines.definition.document import BRANCHES, objects, value_at
from sagemaker_pipelines.definition.limits import MAX_ENTRIES, MAX_ERROR_MESSAGE, MAX_LENGTHS, REQUIRED
from sagemaker_pipelines.definition.placeholders import has_placeholder
from sagemaker_pipelines.definition.problem import Problem
from sagemaker_pipelines.definition.references import references


def lint_arguments(
    name: str, kind: str, step: Mapping[str, Any], definition: Mapping[str, Any]
) -> Iterator[Problem]:
    """Yield the problems of one step's arguments.

    :param name: the step's name.
    :param kind: its type, a known one.
    :param step: the step as it stands in the definition.
    :param definition: the whole definition, which declares the parameters.
    """
    arguments = step.get("Arguments", {})
    if not isinstance(arguments, Mapping):
        yield Problem(name, f"Arguments is a {type(arguments).__name__}", "make it an object")
        return
    for wanted in REQUIRED.get(kind, ()):
        if not any(arguments.get(key) for key in wanted.split("|")):
            yield Problem(
                name, f"the {kind} step has no {wanted.replace('|', ' or ')}", "add it to its arguments"
            )
    yield from _branches(name, kind, arguments)
    for path, most in MAX_ENTRIES.get(kind, {}).items():
        yield from _entries(name, path, most, value_at(arguments, path))
    for path, most in MAX_LENGTHS.get(kind, {}).items():
        yield from _texts(name, path, most, value_at(arguments, path), definition)
    message = arguments.get("ErrorMessage") if kind == "Fail" else None
    if isinstance(message, str) and len(message) > MAX_ERROR_MESSAGE:
        yield Problem(
            name, f"ErrorMessage has {len(message)} characters", f"shorten it to at most {MAX_ERROR_MESSAGE}"
        )


def _branches(name: str, kind: str, arguments: Mapping[str, Any]) -> Iterator[Problem]:
    for key in BRANCHES.get(kind, ()):
        held = arguments.get(key, [])
        if not isinstance(held, list) or not all(isinstance(step, Mapping) for step in held):
            yield Problem(name, f"{key} is not a list of steps", "give it a list, which may be empty")


def _entries(name: str, path: str, most: int, value: Any) -> Iterator[Problem]:
    if isinstance(value, list | Mapping) and len(value) > most:
        yield Problem(
            name, f"{path} has {len(value)} entries", f"SageMaker takes at most {most}: remove some"
        )


def _texts(name: str, path: str, most: int, value: Any, definition: Mapping[str, Any]) -> Iterator[Problem]:
    declared = {str(item.get("Name")): item.get("Type") for item in objects(definition.get("Parameters"))}
    items = (
        value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, text in items:
        if isinstance(text, str) and len(text) > most and not has_placeholder(text):
            yield Problem(
                name,
                f"{path}[{key}] has {len(text)} characters",
                f"SageMaker takes at most {most}: shorten it",
            )
        # Inside a Std:Join a number becomes text: https://github.com/aws/sagemaker-python-sdk/issues/2425
        for reference in references(text) if isinstance(text, Mapping) and "Get" in text else ():
            kind = declared.get(reference.name) if reference.kind == "Parameters" else None
            if kind in ("Integer", "Float", "Boolean"):
                yield Problem(
                    name,
                    f"{path}[{key}] is the {kind} parameter {reference.name}",
                    "SageMaker takes text there: use the parameter's to_string()",
                )
