"""Draw a definition for people: its parameters, its steps and what they wait for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.markup import escape
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from sagemaker_pipelines.definition import Parameter, step_graph
from sagemaker_pipelines.definition.document import LocatedStep, locate_steps


def parameters_table(parameters: Iterable[Parameter]) -> Table:
    """Return the parameters with their types, defaults and accepted values, section by section.

    :param parameters: the parameters of an envelope or of a deployed definition.
    """
    parameters = tuple(parameters)
    table = _table("Parameters", "Parameter", "Type", "Default", "Description")
    table.columns[0].no_wrap = True
    table.columns[-1].max_width = 43
    # The same order as in the form: the sections as they first appear.
    for section in dict.fromkeys(parameter.section for parameter in parameters):
        table.add_section()
        if section:
            table.add_row(Text(section, style="bold"))
        for parameter in (item for item in parameters if item.section == section):
            default = "(none: required)" if parameter.default is None else str(parameter.default)
            accepts = _accepts(parameter)
            meaning = "\n".join(
                part for part in (parameter.description, accepts and f"Accepts {accepts}") if part
            )
            # As Text, because the brackets of a pattern would be read as markup.
            table.add_row(*(Text(cell) for cell in (parameter.name, parameter.type, default, meaning)))
    return table


def _accepts(parameter: Parameter) -> str | None:
    """Return the accepted values as an enumeration, a range or a pattern; None if there is no limit."""
    if parameter.enum_values:
        return ", ".join(parameter.enum_values)
    if parameter.pattern:
        return parameter.pattern
    low, high = parameter.minimum, parameter.maximum
    if low is not None and high is not None:
        return f"{low:g} to {high:g}"
    if low is not None:
        return f"at least {low:g}"
    return None if high is None else f"at most {high:g}"


def steps_table(definition: dict[str, Any]) -> Table:
    """Return the steps with their types and the steps that they wait for.

    :param definition: the definition as parsed JSON.
    """
    graph = step_graph(definition)
    table = _table("Steps", "Step", "Type", "Waits for")
    for located in locate_steps(definition):
        waits_for = ", ".join(sorted(graph[located.name])) or "-"
        table.add_row(*(Text(cell) for cell in (located.name, located.step["Type"], waits_for)))
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for column in columns:
        # Folded, not cut, because a URI must be readable even if the output is not a terminal.
        table.add_column(column, overflow="fold")
    return table


def graph_tree(definition: dict[str, Any]) -> Tree:
    """Return the steps as a tree: a step is below the last one that it waits for, and names the others.

    :param definition: the definition as parsed JSON.
    """
    graph = step_graph(definition)
    located = {item.name: item for item in locate_steps(definition)}
    before: dict[str, set[str]] = {}

    def ancestors(name: str) -> set[str]:
        if name not in before:
            before[name] = graph[name].union(*(ancestors(other) for other in graph[name]))
        return before[name]

    tree = Tree("Graph")
    nodes: dict[str, Tree] = {}
    for name in sorted(graph, key=lambda name: len(ancestors(name))):
        waits_for = sorted(graph[name], key=lambda other: (len(ancestors(other)), other))
        last = waits_for[-1] if waits_for else None
        others = [other for other in waits_for[:-1] if last is None or other not in ancestors(last)]
        nodes[name] = (nodes[last] if last else tree).add(_label(located[name], others))
    return tree


def _label(item: LocatedStep, others: list[str]) -> str:
    branch = {"IfSteps": "[green]if[/] ", "ElseSteps": "[red]else[/] "}.get(item.branch or "", "")
    also = f" [dim](and after {escape(', '.join(others))})[/]" if others else ""
    return f"{branch}{escape(item.name)} [dim]{escape(item.step['Type'])}[/]{also}"
