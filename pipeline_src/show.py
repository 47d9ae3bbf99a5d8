"""Print a definition for people: its parameters, its steps and what they wait for."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.tree import Tree
from sagemaker_pipelines.definition import Envelope, Parameter, step_graph
from sagemaker_pipelines.definition.document import LocatedStep, locate_steps


def show(envelope: Envelope, console: Console) -> None:
    """Print an envelope.

    :param envelope: the compiled definition.
    :param console: where to print.
    """
    console.print(f"[bold]{envelope.name}[/]: {envelope.description}", highlight=False)
    console.print(_parameters(envelope.parameters))
    console.print(_steps(envelope.definition))
    console.print(_graph(envelope.definition))
    console.print(f"Placeholders: {', '.join(envelope.placeholders)}", highlight=False)
    console.print(f"Assets: {', '.join(asset.name for asset in envelope.assets)}", highlight=False)


def _parameters(parameters: tuple[Parameter, ...]) -> Table:
    table = Table("Parameter", "Type", "Default", title="Parameters", title_justify="left")
    for parameter in parameters:
        default = "(none: a start must give it)" if parameter.default is None else str(parameter.default)
        if parameter.enum_values:
            default += f"\nof {', '.join(parameter.enum_values)}"
        table.add_row(parameter.name, parameter.type, default)
    return table


def _steps(definition: dict[str, Any]) -> Table:
    graph = step_graph(definition)
    table = Table("Step", "Type", "Waits for", title="Steps", title_justify="left")
    for located in locate_steps(definition):
        table.add_row(located.name, located.step["Type"], ", ".join(sorted(graph[located.name])) or "-")
    return table


def _graph(definition: dict[str, Any]) -> Tree:
    """Return the steps as a tree: a step is below the one that it waits for last."""
    graph = step_graph(definition)
    located = {item.name: item for item in locate_steps(definition)}
    depth: dict[str, int] = {}

    def level(name: str) -> int:
        if name not in depth:
            depth[name] = 1 + max((level(other) for other in graph[name]), default=0)
        return depth[name]

    tree = Tree("Graph")
    nodes: dict[str, Tree] = {}
    for name in sorted(graph, key=level):
        waits_for = sorted(graph[name], key=level)
        parent = nodes[waits_for[-1]] if waits_for else tree
        nodes[name] = parent.add(_label(located[name]))
    return tree


def _label(item: LocatedStep) -> str:
    branch = {"IfSteps": "[green]if[/] ", "ElseSteps": "[red]else[/] "}.get(item.branch or "", "")
    return f"{branch}{item.name} [dim]{item.step['Type']}[/]"
