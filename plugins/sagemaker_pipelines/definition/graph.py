"""The graph of a definition: which step waits for which."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

from sagemaker_pipelines.definition.document import locate_steps, objects, own_part
from sagemaker_pipelines.definition.references import references


def dependencies(step: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names in a step's ``DependsOn``; an entry is a name or ``{"Step", "Trigger"}``."""
    listed = step.get("DependsOn")
    for entry in listed if isinstance(listed, list) else ():
        if isinstance(entry, dict):
            yield str(entry.get("Step", ""))
        else:
            yield str(entry)


def step_graph(definition: Mapping[str, Any]) -> dict[str, set[str]]:
    """Return the predecessors of every step.

    A step waits for the steps that its arguments refer to, for the steps in its ``DependsOn``, and for the
    Condition (or ForEach) that contains it. A ForEach also waits for what the steps in its body wait for.

    :param definition: the definition as parsed JSON.
    :return: step name to the names of its predecessors, in the order of the document.
    """
    graph: dict[str, set[str]] = {}
    bodies: dict[str, dict[str, set[str]]] = {}
    for located in locate_steps(definition):
        own = own_part(located.step)
        predecessors = {reference.name for reference in references(own) if reference.kind == "Steps"}
        predecessors.update(dependencies(own))
        if located.branch == "ForEachBody":
            bodies.setdefault(str(located.parent), {})[located.name] = set(predecessors)
        if located.parent is not None:
            predecessors.add(located.parent)
        graph[located.name] = predecessors
    for parent, body in bodies.items():
        graph[parent] |= set().union(*body.values()) - body.keys()
    return graph


@dataclass(frozen=True)
class MirroredStep:
    """A step as it is drawn; a ForEach stands for its children.

    :param name: its name.
    :param type: its type, such as ``Training``.
    :param description: its own description; empty if it has none.
    :param body: the names of the steps in the body of a ForEach.
    :param handles_failure: whether it may run although a step before it failed.
    """

    name: str
    type: str
    description: str
    body: tuple[str, ...] = ()
    handles_failure: bool = False


def mirrored_steps(definition: Mapping[str, Any]) -> list[MirroredStep]:
    """Return the steps to draw, in the order of the document: all but those inside a ForEach."""
    bodies: dict[str, list[str]] = {}
    steps = []
    for located in locate_steps(definition):
        # A body has no steps that contain others.
        if located.branch == "ForEachBody":
            bodies.setdefault(str(located.parent), []).append(located.name)
        else:
            steps.append(located)
    return [
        MirroredStep(
            name=located.name,
            type=str(located.step.get("Type", "")),
            description=str(located.step.get("Description") or ""),
            body=tuple(bodies.get(located.name, ())),
            handles_failure=any(
                entry.get("Trigger", "Completed") != "Completed"
                for entry in objects(located.step.get("DependsOn"))
            ),
        )
        for located in steps
    ]


def find_cycle(graph: Mapping[str, set[str]]) -> list[str]:
    """Return the steps of one cycle, each waiting for the next; an empty list if there is no cycle."""
    try:
        TopologicalSorter({name: sorted(graph[name]) for name in graph}).prepare()
    except CycleError as error:
        # graphlib lists each step before the one that waits for it.
        cycle: list[str] = error.args[1]
        return cycle[::-1]
    return []
