"""Print a compiled definition for people: its parameters, its steps and what they wait for."""

from __future__ import annotations

from rich.console import Console

from sagemaker_pipelines.cli.drawing import graph_tree, parameters_table, steps_table
from sagemaker_pipelines.definition import Envelope


def show(envelope: Envelope, console: Console) -> None:
    """Print an envelope.

    :param envelope: the compiled definition.
    :param console: where to print.
    """
    console.print(f"[bold]{envelope.name}[/]: {envelope.description}", highlight=False)
    console.print(parameters_table(envelope.parameters))
    console.print(steps_table(envelope.definition))
    console.print(graph_tree(envelope.definition))
    console.print(f"Placeholders: {', '.join(envelope.placeholders)}", highlight=False)
    console.print(f"Assets: {', '.join(asset.name for asset in envelope.assets)}", highlight=False)
