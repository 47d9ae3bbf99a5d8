"""The commands: ``python -m sagemaker_pipelines``.

Other packages add commands with entry points of the group ``sagemaker_pipelines.commands``. The entry point
has the name of the command; its object is a function with Typer's annotations, or a Typer app with
subcommands. Every command imports all of them, so these modules should only do heavy imports in functions.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated

import typer

from sagemaker_pipelines.cli import (
    account,
    adopt,
    backfill,
    doctor,
    executions,
    logs,
    models,
    pipelines,
    prices,
    promote,
    schedule,
)
from sagemaker_pipelines.cli.smoke import command as smoke

app = typer.Typer(
    name="sagemaker-pipelines",
    help="Run Amazon SageMaker Pipelines, with the hooks that the Airflow operators use.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for module in (pipelines, adopt, executions, logs, models, promote, backfill, prices, doctor, smoke):
    app.add_typer(module.app)
app.add_typer(schedule.app, name="schedule")
for entry_point in entry_points(group="sagemaker_pipelines.commands"):
    try:
        command = entry_point.load()
    except ImportError as error:
        # A package that is only half installed must not break the other commands.
        typer.echo(
            f"Warning: the command {entry_point.name} is missing, because {entry_point.value} cannot be "
            f"imported: {error}. Install its package with its dependencies.",
            err=True,
        )
        continue
    if isinstance(command, typer.Typer):
        app.add_typer(command, name=entry_point.name)
    else:
        app.command(entry_point.name)(command)


@app.callback()
def _root(
    profile: Annotated[str | None, typer.Option(help="A profile of the AWS configuration files.")] = None,
    endpoint_url: Annotated[str | None, typer.Option(help="The endpoint, if it is not AWS's own.")] = None,
    settings: Annotated[
        Path | None, typer.Option(exists=True, help="The environments' settings file.")
    ] = None,
) -> None:
    """Store the options that all commands share."""
    account.choose(profile, endpoint_url, settings)
