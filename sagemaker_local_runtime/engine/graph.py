"""The steps of a definition and what each of them waits for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field, replace
from graphlib import TopologicalSorter
from typing import Any, Literal

from sagemaker_pipelines.definition.document import locate_steps, own_part
from sagemaker_pipelines.definition.references import references
from sagemaker_pipelines.states import STEP_PHASES, Phase

Definition = Mapping[str, Any]
Step = Mapping[str, Any]


def _statuses(*phases: Phase) -> frozenset[str]:
    return frozenset(status for status, phase in STEP_PHASES.items() if phase in phases)


TERMINAL = _statuses(Phase.SUCCEEDED, Phase.FAILED, Phase.STOPPED)

# The statuses that the Trigger of a ``DependsOn`` entry accepts.
# See ``sagemaker.mlops.workflow.step_dependency``.
TRIGGERS: Mapping[str, frozenset[str]] = {
    "Completed": _statuses(Phase.SUCCEEDED),
    "Failed": _statuses(Phase.FAILED),
    "Stopped": _statuses(Phase.STOPPED),
    "Any": TERMINAL,
}


@dataclass(frozen=True)
class Node:
    """A step in the graph.

    :param step: the step as it is in the definition, without the steps in its branches.
    :param triggers: the steps that it waits for, each with the trigger that allows it to run.
    :param branch: the Condition step that contains it, and the outcome with which it runs; None outside a
        branch.
    :param body: the steps that a ForEach step runs for each of its items; None for other steps.
    """

    step: Step
    triggers: Mapping[str, str]
    branch: tuple[str, bool] | None = None
    body: Graph | None = None

    @property
    def name(self) -> str:
        """The step's name."""
        return str(self.step["Name"])

    @property
    def upstream(self) -> set[str]:
        """Every step that must end before this one can start."""
        return {*self.triggers, *([self.branch[0]] if self.branch else [])}


@dataclass(frozen=True)
class Plan:
    """The possible next steps of an execution.

    :param ready: the steps that can start now, in the order of the definition.
    :param waiting: the steps that may start later.
    :param dead: the steps that will never run, because their branch was not taken or what they wait for
        cannot happen.
    """

    ready: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    dead: set[str] = field(default_factory=set)


class Graph:
    """The steps of a definition, including those in branches, in an order that respects every dependency.

    A ForEach step stands for the steps in its body.

    :param definition: a definition that has passed the checks of CreatePipeline.
    """

    def __init__(self, definition: Definition) -> None:
        self.nodes = _ordered({node.name: node for node in _nodes(definition)})

    def restricted_to(self, names: Set[str]) -> Graph:
        """Return the graph of only these steps, which no longer wait for the others."""
        graph = Graph({})
        for name, node in self.nodes.items():
            if name in names:
                triggers = {other: trigger for other, trigger in node.triggers.items() if other in names}
                branch = node.branch if node.branch and node.branch[0] in names else None
                graph.nodes[name] = replace(node, triggers=triggers, branch=branch)
        return graph

    def plan(self, statuses: Mapping[str, str], outcomes: Mapping[str, bool]) -> Plan:
        """Sort the steps that have no status yet into ready, waiting and dead.

        :param statuses: the status of every step that has started.
        :param outcomes: the outcome of every Condition step that has ended.
        """
        plan = Plan()
        for name, node in self.nodes.items():
            if name in statuses:
                continue
            verdict = _verdict(node, statuses, outcomes, plan.dead)
            if verdict == "dead":
                plan.dead.add(name)
            else:
                (plan.ready if verdict == "ready" else plan.waiting).append(name)
        return plan

    def handled(self, name: str, statuses: Mapping[str, str]) -> bool:
        """Return whether another step ran because this one failed or stopped."""
        status = statuses[name]
        return any(
            other in statuses and status in TRIGGERS[node.triggers[name]]
            for other, node in self.nodes.items()
            if name in node.triggers
        )

    def ancestors(self, name: str) -> set[str]:
        """Return every step that comes before this one on some path."""
        found: set[str] = set()
        todo = list(self.nodes[name].upstream)
        while todo:
            upstream = todo.pop()
            if upstream not in found:
                found.add(upstream)
                todo.extend(self.nodes[upstream].upstream)
        return found


def _verdict(
    node: Node, statuses: Mapping[str, str], outcomes: Mapping[str, bool], dead: set[str]
) -> Literal["ready", "waiting", "dead"]:
    waiting = False
    for upstream, trigger in node.triggers.items():
        status = statuses.get(upstream)
        if upstream in dead or (status in TERMINAL and status not in TRIGGERS[trigger]):
            return "dead"
        waiting = waiting or status not in TERMINAL
    if node.branch:
        condition, outcome = node.branch
        status = statuses.get(condition)
        if condition in dead or (status in TERMINAL and outcomes.get(condition) is not outcome):
            return "dead"
        waiting = waiting or status not in TERMINAL
    return "waiting" if waiting else "ready"


def _nodes(definition: Definition) -> Iterator[Node]:
    bodies: dict[str, list[Node]] = {}
    others: list[Node] = []
    for located in locate_steps(definition):
        own = own_part(located.step)
        triggers = {found.name: "Completed" for found in references(own) if found.kind == "Steps"}
        for entry in own.pop("DependsOn", None) or ():
            triggers.update(
                {entry: "Completed"} if isinstance(entry, str) else {entry["Step"]: entry["Trigger"]}
            )
        if located.parent and located.branch == "ForEachBody":
            bodies.setdefault(located.parent, []).append(Node(own, triggers))
        else:
            branch = (located.parent, located.branch == "IfSteps") if located.parent else None
            others.append(Node(own, triggers, branch))
    for node in others:
        yield _with_body(node, bodies[node.name]) if node.name in bodies else node


def _with_body(node: Node, body: list[Node]) -> Node:
    """Return a ForEach step, which also waits for what the steps in its body wait for."""
    names = {inner.name for inner in body}
    outside = {
        name: trigger for inner in body for name, trigger in inner.triggers.items() if name not in names
    }
    graph = Graph({})
    graph.nodes = _ordered(
        {
            inner.name: replace(inner, triggers={k: v for k, v in inner.triggers.items() if k in names})
            for inner in body
        }
    )
    return replace(node, triggers={**outside, **node.triggers}, body=graph)


def _ordered(nodes: Mapping[str, Node]) -> dict[str, Node]:
    """Return the nodes in the order of the definition, but each after everything that it waits for.

    :raises graphlib.CycleError: some of them wait for each other.
    """
    sorter = TopologicalSorter({name: node.upstream for name, node in nodes.items()})
    sorter.prepare()
    order: dict[str, Node] = {}
    while sorter.is_active():
        ready = set(sorter.get_ready())
        order.update((name, node) for name, node in nodes.items() if name in ready)
        sorter.done(*ready)
    return order
