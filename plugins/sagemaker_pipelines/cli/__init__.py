"""The commands: ``python -m sagemaker_pipelines``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sagemaker_pipelines.cli import account, backfill, executions, logs, pipelines, schedule

app = typer.Typer(
    name="sagemaker-pipelines",
    help="Run Amazon SageMaker Pipelines, with the hooks that the Airflow operators use.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for module in (pipelines, executions, logs, backfill):
    app.add_typer(module.app)
app.add_typer(schedule.app, name="schedule")


@app.callback()
def _root(
    profile: Annotated[str | None, typer.Option(help="A profile of the AWS configuration files.")] = None,
    endpoint_url: Annotated[str | None, typer.Option(help="Another endpoint than AWS's.")] = None,
    settings: Annotated[
        Path | None, typer.Option(exists=True, help="The environments' settings file.")
    ] = None,
) -> None:
    """Take up the options that all commands share."""
    account.choose(profile, endpoint_url, settings)
