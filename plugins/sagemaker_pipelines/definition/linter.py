"""Check a definition before it is deployed, as far as that is possible without AWS.

The public JSON schema of the definition (April 2025) rejects what the SDK emits, so it cannot be used here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from sagemaker_pipelines.definition.document import STEP_TYPES, VERSION, LocatedStep, locate_steps, own_part
from sagemaker_pipelines.definition.graph import dependencies, find_cycle, step_graph
from sagemaker_pipelines.definition.limits import STEP_NAME
from sagemaker_pipelines.definition.lint_arguments import lint_arguments
from sagemaker_pipelines.definition.lint_cleanup import lint_cleanup
from sagemaker_pipelines.definition.lint_expressions import lint_expressions
from sagemaker_pipelines.definition.lint_for_each import lint_for_each
from sagemaker_pipelines.definition.lint_parameters import lint_parameters
from sagemaker_pipelines.definition.problem import Problem, name_another
from sagemaker_pipelines.definition.step_shapes import ServiceModel
from sagemaker_pipelines.exceptions import InvalidDefinitionError


def lint(
    definition: Mapping[str, Any], model: ServiceModel, *, allowed: Collection[str] = ()
) -> list[Problem]:
    """Return the problems of a definition, in the order of the document; an empty list if there are none.

    :param definition: the definition as parsed JSON, with placeholders or filled.
    :param model: botocore's model of SageMaker, ``client.meta.service_model``, which knows every argument.
    :param allowed: names of problems to leave out, such as ``Training.NewMember``.
    """
    return [problem for problem in _problems(definition, model) if problem.name not in {*allowed} - {""}]


def check(
    definition: Mapping[str, Any],
    model: ServiceModel,
    *,
    name: str = "Pipeline",
    allowed: Collection[str] = (),
    warn: Callable[[Problem], None] | None = None,
) -> None:
    """Raise when a definition has problems.

    :param definition: the definition as parsed JSON, with placeholders or filled.
    :param model: botocore's model of SageMaker, ``client.meta.service_model``, which knows every argument.
    :param name: the definition's name in the message.
    :param allowed: names of problems to leave out, such as ``Training.NewMember``.
    :param warn: called with each problem that a SageMaker newer than the model may accept; None treats these
        problems as errors, too.
    :raise InvalidDefinitionError: there are other problems; the message names the step and the fix for each.
    """
    problems = lint(definition, model, allowed=allowed)
    if warn is not None:
        for problem in problems:
            if not problem.certain:
                warn(problem)
        problems = [problem for problem in problems if problem.certain]
    if problems:
        raise InvalidDefinitionError(name, [str(problem) for problem in problems])


def _problems(definition: Mapping[str, Any], model: ServiceModel) -> Iterator[Problem]:
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
        yield from _step(item, definition, model)
    yield from lint_for_each(definition)
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


def _step(item: LocatedStep, definition: Mapping[str, Any], model: ServiceModel) -> Iterator[Problem]:
    """Check one step without the steps in its branches, which are checked separately."""
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
    if kind == "Cleanup":
        yield from lint_cleanup(name, own, definition)
    yield from lint_arguments(name, kind, step, definition, model)


def _dependencies(name: str, own: Mapping[str, Any], known: set[str]) -> Iterator[Problem]:
    listed = own.get("DependsOn", [])
    if not isinstance(listed, list):
        yield Problem(name, f"DependsOn is {listed!r}", "make it a list of step names")
    for dependency in dependencies(own):
        if dependency not in known:
            yield Problem(
                name,
                f"DependsOn names the step {dependency!r}, which does not exist",
                name_another(known - {name}),
            )
