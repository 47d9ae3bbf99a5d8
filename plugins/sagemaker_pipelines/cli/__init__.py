"""The commands: ``python -m sagemaker_pipelines``."""

from __future__ import annotations

import typer

from sagemaker_pipelines.cli import backfill, schedule

app = typer.Typer(
    name="sagemaker-pipelines",
    help="Run Amazon SageMaker Pipelines, with the hooks that the Airflow operators use.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(schedule.app, name="schedule")
app.add_typer(backfill.app)


@app.callback()
def _root() -> None:
    """Make every command a subcommand, also while there is only one."""
