"""Wait for an execution in a terminal."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import typer

from sagemaker_pipelines.cli.output import FAILED, print_fields, print_json, reported
from sagemaker_pipelines.definition import step_graph
from sagemaker_pipelines.exceptions import ExecutionError, ExecutionStoppedError

if TYPE_CHECKING:
    from rich.console import Console

    from sagemaker_pipelines.aws.client import SageMakerClient

REJECTED, STOPPED, TIMEOUT, INTERRUPTED = 3, 4, 5, 130
_SHOWN = ("pipeline_execution_arn", "status", "rejected")


def wait_for(
    client: SageMakerClient,
    arn: str,
    *,
    timeout: float | None,
    stop_on_interrupt: bool,
    as_json: bool,
) -> None:
    """Follow an execution until it ends, print the outcome, and exit with the matching code.

    :param client: the client that calls AWS.
    :param arn: the execution.
    :param timeout: how long to wait at most, seconds; None waits for as long as it takes.
    :param stop_on_interrupt: whether Ctrl-C stops the execution.
    :param as_json: whether to print JSON.
    """
    from sagemaker_pipelines.aws.billing import billed_text

    try:
        with reported():
            ended = follow(client, arn, timeout)
    except KeyboardInterrupt:
        _interrupted(client, arn, stop_on_interrupt)
        raise typer.Exit(INTERRUPTED) from None
    if not ended:
        typer.echo(f"{arn} has not ended within {timeout:.0f} s; it is still running.", err=True)
        raise typer.Exit(TIMEOUT)
    with reported():
        record, code = _record(client, arn)
    if as_json:
        print_json(record)
    else:
        # The lines above already show each step.
        print_fields({**{name: record[name] for name in _SHOWN}, "billed": billed_text(record)})
    if code:
        raise typer.Exit(code)


def follow(client: SageMakerClient, arn: str, timeout: float | None) -> bool:
    """Show a bar and each step's changes on standard error; return whether the execution has ended."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from sagemaker_pipelines.aws.watch import ExecutionWatch

    # If the output is not a terminal, lines must not be broken.
    console = Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else 1000)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    total = len(step_graph(client.execution_definition(arn)))
    deadline = None if timeout is None else time.monotonic() + timeout
    log: Any = _ConsoleLog(console)
    watch = ExecutionWatch(client, arn, waiter_delay=10, log=log)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("steps", total=total)
        while watch.look() is None:
            progress.update(bar, completed=log.ended)
            if deadline is not None and time.monotonic() >= deadline:
                return False
            left = watch.delay() if deadline is None else min(watch.delay(), deadline - time.monotonic())
            time.sleep(max(0.0, left))
    return True


class _ConsoleLog:
    """Prints the log lines of a watch in the terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.ended = 0

    def info(self, line: str, *values: object) -> None:
        text = line % values if values else line
        self.ended += " after " in text
        self._console.print(text, markup=False)

    warning = info


def _record(client: SageMakerClient, arn: str) -> tuple[dict[str, Any], int]:
    from sagemaker_pipelines.aws.outcome import execution_outcome
    from sagemaker_pipelines.aws.record import execution_record

    rejected, cause = False, None
    try:
        outcome = execution_outcome(client, arn)
    except ExecutionError as error:
        typer.echo(f"Error: {error}", err=True)
        code = STOPPED if isinstance(error, ExecutionStoppedError) else FAILED
        cause = error.first_cause
    else:
        rejected, cause = outcome.rejected, outcome.cause
        code = REJECTED if rejected else 0
    return execution_record(client, arn, rejected=rejected, cause=cause).as_dict(), code


def _interrupted(client: SageMakerClient, arn: str, stop_on_interrupt: bool) -> None:
    from sagemaker_pipelines.aws.stopping import stop_execution

    if not stop_on_interrupt:
        typer.echo(f"\n{arn} is still running.", err=True)
        return
    with reported():
        stop_execution(client.sagemaker, arn, seconds=30, log=client.log)
    typer.echo(f"\n{arn} is being stopped.", err=True)
