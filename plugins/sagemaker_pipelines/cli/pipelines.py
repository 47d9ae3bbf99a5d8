"""Commands for compiled and deployed definitions: ``list``, ``show``, ``upsert``."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from sagemaker_pipelines.cli.account import client_of
from sagemaker_pipelines.cli.output import (
    AsJson,
    ConnId,
    Region,
    print_fields,
    print_json,
    print_table,
    reported,
)
from sagemaker_pipelines.cli.targets import envelope_of
from sagemaker_pipelines.definition import MASK, Envelope, parameters_of, step_graph

app = typer.Typer()
_PIPELINE = ("PipelineName", "LastModifiedTime", "LastExecutionTime")
_EXECUTION = ("PipelineExecutionStatus", "StartTime", "PipelineExecutionDisplayName", "PipelineExecutionArn")


@app.command("list")
def list_(
    name: Annotated[str | None, typer.Argument(help="A pipeline: list its executions instead.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many to list, newest first.")] = 20,
    as_json: AsJson = False,
    conn_id: ConnId = "aws_default",
    region: Region = None,
) -> None:
    """List the environment's pipelines, or the executions of one."""
    with reported():
        client = client_of(conn_id, region)
        if name is None:
            items = client.pipelines(client.settings.name_prefix)
        else:
            items = client.list_executions(name)
        found = list(islice(items, limit))
    if as_json:
        print_json(found)
    elif name is None:
        print_table(("pipeline", "modified", "last execution"), [_row(item, _PIPELINE) for item in found])
    else:
        print_table(("status", "started", "name", "execution"), [_row(item, _EXECUTION) for item in found])


@app.command()
def show(
    target: Annotated[str, typer.Argument(help="Path of a compiled definition, or a deployed pipeline.")],
    version: Annotated[int | None, typer.Option(help="A deployed version; by default the newest.")] = None,
    as_json: AsJson = False,
    conn_id: ConnId = "aws_default",
    region: Region = None,
) -> None:
    """Show a definition's parameters, steps and graph."""
    from sagemaker_pipelines.masking import is_secret

    with reported():
        definition, declared, title = _read(target, version, conn_id, region)
    parameters = [
        replace(item, default=item.default and MASK) if is_secret(item.name) else item for item in declared
    ]
    if as_json:
        graph = {name: sorted(needed) for name, needed in step_graph(definition).items()}
        fields = [
            {"name": p.name, "type": p.type, "default": p.default, "description": p.description}
            for p in parameters
        ]
        print_json({"name": title, "parameters": fields, "steps": graph})
        return
    from rich.console import Console

    from sagemaker_pipelines.cli.drawing import graph_tree, parameters_table, steps_table

    console = Console()
    console.print(title, style="bold", highlight=False)
    for part in (parameters_table(parameters), steps_table(definition), graph_tree(definition)):
        console.print(part)


@app.command()
def upsert(
    definition: Annotated[Path, typer.Argument(help="Path of a compiled definition.", exists=True)],
    name: Annotated[str | None, typer.Option(help="Deploy under this name.")] = None,
    as_json: AsJson = False,
    conn_id: ConnId = "aws_default",
    region: Region = None,
) -> None:
    """Create the pipeline of a definition, or update it if it differs from what is deployed."""
    from sagemaker_pipelines.aws.upsert import upsert_pipeline

    with reported():
        result = upsert_pipeline(client_of(conn_id, region), Envelope.load(definition), pipeline_name=name)
    if as_json:
        print_json(result.as_dict())
    else:
        print_fields(result.as_dict())


def _read(target: str, version: int | None, conn_id: str, region: str | None) -> tuple[Any, Any, str]:
    """Return a definition, its parameters and its title."""
    if (envelope := envelope_of(target)) is not None:
        return envelope.definition, envelope.parameters, f"{envelope.name}: {envelope.description}"
    definition = client_of(conn_id, region).deployed_definition(target, pipeline_version_id=version)
    return (
        definition,
        parameters_of(definition),
        target if version is None else f"{target}, version {version}",
    )


def _row(item: dict[str, Any], columns: tuple[str, ...]) -> list[Any]:
    values = (item.get(column) for column in columns)
    return [
        value.strftime("%Y-%m-%d %H:%M:%S %Z") if isinstance(value, datetime) else value for value in values
    ]
