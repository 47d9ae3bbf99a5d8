"""Check a definition before it is deployed, as far as that can be done without AWS.

The public JSON schema of the definition (April 2025) rejects what the SDK emits, so it is no gate.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from sagemaker_pipelines.definition.document import STEP_TYPES, VERSION, LocatedStep, locate_steps, own_part
from sagemaker_pipelines.definition.graph import dependencies, find_cycle, step_graph
from sagemaker_pipelines.definition.limits import STEP_NAME
from sagemaker_pipelines.definition.lint_arguments import lint_arguments
from sagemaker_pipelines.definition.lint_expressions import lint_expressions
from sagemaker_pipelines.definition.lint_parameters import lint_parameters
from sagemaker_pipelines.definition.problem import Problem
from sagemaker_pipelines.exceptions import InvalidDefinitionError


def lint(definition: Mapping[str, Any]) -> list[Problem]:
    """Return the problems of a definition, in the order of the document; an empty list when it is sound.

    :param definition: the definition as parsed JSON, with placeholders or filled.
    """
    return list(_problems(definition))


def check(definition: Mapping[str, Any], *, name: str = "Pipeline") -> None:
    """Raise when a definition has problems.

    :param definition: the definition as parsed JSON, with placeholders or filled.
    :param name: what to call it in the message.
    :raise InvalidDefinitionError: with all problems, each naming its step and the cure.
    """
    problems = lint(definition)
    if problems:
        raise InvalidDefinitionError(name, [str(problem) for problem in problems])


def _problems(definition: Mapping[str, Any]) -> Iterator[Problem]:
    if definition.get("Version") != VERSION:
        yield Problem(None, f"Version is {definition.get('Version')!r}", f'set it to "{VERSION}"')
    yield from lint_parameters(definition)
    steps = definition.get("Steps")
    if not isinstance(steps, list) or not steps:
        yield Problem(None, "the definition has no Steps", "give the pipeline at least one step")
        return
    located = list(locate_steps(definition))
    yield from _duplicates(located)
    for item in located:
        yield from _step(item, definition)
    cycle = find_cycle(step_graph(definition))
    if cycle:
        waits = " waits for ".join(cycle)
        yield Problem(cycle[0], f"the steps wait for each other: {waits}", "remove one of these references")


def _duplicates(located: list[LocatedStep]) -> Iterator[Problem]:
    for name, count in Counter(item.name for item in located).items():
        if name and count > 1:
            yield Problem(
                name, f"{count} steps have this name", "give each step, in every branch, its own name"
            )


def _step(item: LocatedStep, definition: Mapping[str, Any]) -> Iterator[Problem]:
    """Check one step; what is in its branches is checked by itself."""
    step, name, kind = item.step, item.name, str(item.step.get("Type"))
    if STEP_NAME.fullmatch(name) is None:
        yield Problem(
            name or "(unnamed)",
            f"the name {name!r} is not a step name",
            "use 1 to 64 letters, digits, hyphens and underscores",
        )
    if kind not in STEP_TYPES:
        yield Problem(name, f"unknown step type {kind!r}", f"use one of {', '.join(sorted(STEP_TYPES))}")
        return
    own = own_part(step)
    yield from _dependencies(name, own, {item.name for item in locate_steps(definition)})
    yield from lint_expressions(name, own, definition)
    yield from lint_arguments(name, kind, step, definition)


def _dependencies(name: str, own: Mapping[str, Any], known: set[str]) -> Iterator[Problem]:
    listed = own.get("DependsOn", [])
    if not isinstance(listed, list):
        yield Problem(name, f"DependsOn is {listed!r}", "make it a list of step names")
    for dependency in dependencies(own):
        if dependency not in known:
            yield Problem(
                name,
                f"DependsOn names the step {dependency!r}, which does not exist",
                f"name one of {', '.join(sorted(known - {name}))}, or remove it",
            )
