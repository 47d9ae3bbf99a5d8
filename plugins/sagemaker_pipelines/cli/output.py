"""The output and the exit codes of all commands.

======== =================================================================
exit code meaning
======== =================================================================
0        done, or there was nothing to do
1        AWS refused, or something does not exist or has failed
2        the command line is wrong; nothing was called
3        the execution was rejected by its gate
4        the execution was stopped
5        timeout; the execution is still running
130      Ctrl-C
======== =================================================================

Results go to standard output and everything else to standard error, so that ``--json`` can be piped.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import Annotated, Any

import typer
from botocore.exceptions import BotoCoreError, ClientError

from sagemaker_pipelines.cli.advice import with_advice
from sagemaker_pipelines.exceptions import ParameterError, SageMakerPipelinesError, ScheduleError

FAILED, WRONG = 1, 2
_WRONG_INPUT = (ParameterError, ScheduleError)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
ConnId = Annotated[str, typer.Option("--conn-id", help="The Airflow connection of the AWS account.")]
Params = Annotated[list[str] | None, typer.Option("--param", "-p", help="NAME=VALUE; may be repeated.")]
Region = Annotated[str | None, typer.Option(help="The AWS region; by default the connection's.")]
AirflowUrl = Annotated[
    str, typer.Option(envvar="AIRFLOW__API__BASE_URL", help="Airflow's address, as in [api] base_url.")
]
Token = Annotated[str | None, typer.Option(envvar="AIRFLOW_TOKEN", help="A bearer token of Airflow's API.")]
Username = Annotated[str | None, typer.Option(envvar="AIRFLOW_USERNAME", help="Or the user to log in as.")]
Password = Annotated[str | None, typer.Option(envvar="AIRFLOW_PASSWORD", help="The password of that user.")]


def print_json(value: Any) -> None:
    """Print a result as JSON.

    :param value: JSON types; any other type is printed as a string.
    """
    typer.echo(json.dumps(value, indent=2, default=str))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print rows below the names of their columns, as wide as the terminal allows.

    :param columns: the names.
    :param rows: the values; None is shown as an empty cell.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns, box=None, pad_edge=False, header_style="bold", show_header=any(columns))
    for row in rows:
        # As Text, because brackets in a string would be read as markup.
        table.add_row(*(Text("" if value is None else str(value)) for value in row))
    # If the output is not a terminal, lines must not be cut.
    Console(width=None if sys.stdout.isatty() else 240).print(table)


def print_fields(fields: Mapping[str, Any]) -> None:
    """Print names and values, one per line; empty values are left out."""
    print_table(("", ""), [(name, value) for name, value in fields.items() if value not in (None, "")])


@contextmanager
def reported() -> Iterator[None]:
    """End the command with a message and an exit code if it fails; print results outside of this."""
    try:
        # Airflow's hooks log to standard output, which is for the result.
        with redirect_stdout(sys.stderr):
            yield
    except (SageMakerPipelinesError, ClientError, BotoCoreError, OSError) as error:
        typer.echo(f"Error: {with_advice(error)}", err=True)
        raise typer.Exit(WRONG if isinstance(error, _WRONG_INPUT) else FAILED) from error
