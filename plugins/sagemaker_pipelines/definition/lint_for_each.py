"""Check ForEach steps, their bodies, and what refers to them.

The rules are those of the SDK 3.27.0 (mlops/workflow/for_each_step.py), which says that the service applies
them too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from sagemaker_pipelines.definition.document import LocatedStep, locate_steps, objects, own_part
from sagemaker_pipelines.definition.graph import dependencies
from sagemaker_pipelines.definition.problem import Problem
from sagemaker_pipelines.definition.references import is_expression, parse_reference, references

MAX_LITERAL_ITEMS = 100
#: Types that a body must not contain.
_NOT_IN_A_BODY = frozenset({"Condition", "Fail", "ForEach"})
_PICKS = ("MaxBy", "MinBy")


def lint_for_each(definition: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield the problems of all ForEach steps of a definition.

    :param definition: the definition as parsed JSON.
    """
    located = list(locate_steps(definition))
    parents = {item.name: item.parent for item in located if item.branch == "ForEachBody"}
    for item in located:
        yield from _references(item, parents)
        if item.step.get("Type") == "ForEach" and isinstance(item.step.get("Arguments"), dict):
            arguments = item.step["Arguments"]
            names = [name for name, parent in parents.items() if parent == item.name]
            yield from _items(item.name, arguments.get("IterableItems"))
            yield from _selector(item.name, arguments.get("Selector"), names)
            for step in objects(arguments.get("ForEachBody")):
                if str(step.get("Type")) in _NOT_IN_A_BODY:
                    yield Problem(
                        str(step.get("Name", "")),
                        f"a {step['Type']} step is in the body of the ForEach step {item.name}",
                        "move it out of the body",
                    )
    yield from _collisions([item.name for item in located], parents)


def _items(name: str, items: Any) -> Iterator[Problem]:
    if is_expression(items):
        return
    if not isinstance(items, list) or not 1 <= len(items) <= MAX_LITERAL_ITEMS:
        seen = f"has {len(items)} entries" if isinstance(items, list) else f"is {items!r}"
        yield Problem(
            name,
            f"IterableItems {seen}",
            f"make it a list of 1 to {MAX_LITERAL_ITEMS} items, or an expression for the JSON text of a list",
        )
        return
    for item in items:
        if item is None or (isinstance(item, list | dict) and not is_expression(item)):
            yield Problem(
                name,
                f"IterableItems has {item!r}",
                "make each item a string, a number, a boolean or an expression",
            )


def _selector(name: str, selector: Any, body: list[str]) -> Iterator[Problem]:
    if selector is None:
        return
    selector = selector if isinstance(selector, dict) else {}
    if selector.get("Pick") not in _PICKS:
        yield Problem(
            name, f"the Pick of the Selector is {selector.get('Pick')!r}", f"use one of {', '.join(_PICKS)}"
        )
    field = selector.get("Field")
    text = field.get("Get") if isinstance(field, dict) else None
    reference = parse_reference(str(text))
    if reference.kind != "IterationOutput" or reference.name not in body or not reference.rest:
        yield Problem(
            name,
            f"the Field of the Selector is {field!r}",
            f"make it IterationOutput.<step>.<property> of a step in the body: {', '.join(body) or '(none)'}",
        )


def _references(item: LocatedStep, parents: Mapping[str, str | None]) -> Iterator[Problem]:
    """Check what a step refers to: its item, the steps in a body, the ForEach step around it."""
    parent = item.parent if item.branch == "ForEachBody" else None
    own = own_part(item.step)
    for reference in references(own):
        if reference.kind == "ForEach" and (parent is None or reference.name != "CurrentItem"):
            yield Problem(
                item.name,
                f"{reference.text!r} has no value here",
                "refer to ForEach.CurrentItem, in the body of a ForEach step only",
            )
        elif reference.kind == "IterationOutput" and item.step.get("Type") != "ForEach":
            yield Problem(
                item.name,
                f"{reference.text!r} has no value here",
                "use it in the Selector of a ForEach step only",
            )
    named = {reference.name for reference in references(own) if reference.kind == "Steps"}
    for name in sorted(named | {*dependencies(own)}):
        loop = parents.get(name)
        if loop is not None and loop != parent:
            yield Problem(
                item.name,
                f"it needs the step {name}, which is in the body of the ForEach step {loop}",
                f"refer to Steps.{loop}.IterationOutputs[0].{name} or Steps.{loop}.Selected instead",
            )
        elif parent is not None and name == parent:
            yield Problem(
                item.name,
                f"it needs the ForEach step {name}, which contains it",
                "refer to ForEach.CurrentItem, or to another step of the body",
            )


def _collisions(names: list[str], parents: Mapping[str, str | None]) -> Iterator[Problem]:
    for name in names:
        match = re.fullmatch(r"(.+)-\d+", name)
        if match and match[1] in parents:
            yield Problem(
                name,
                f"a child of the step {match[1]} in the body of a ForEach step may have this name",
                "rename one of the two steps",
            )
