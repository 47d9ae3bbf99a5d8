"""Report a backfill by date, and cancel it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from sagemaker_pipelines.cli.account import client_of
from sagemaker_pipelines.cli.output import (
    FAILED,
    AirflowUrl,
    AsJson,
    ConnId,
    Password,
    Region,
    Token,
    Username,
    print_json,
    print_table,
    reported,
)

if TYPE_CHECKING:
    from sagemaker_pipelines.cli.backfills import Backfill, BackfillReport

app = typer.Typer()
BackfillId = Annotated[
    int, typer.Argument(help="The backfill's id, as `airflow backfill` and the UI show it.")
]
_URL = "http://localhost:8080"
_COLUMNS = (
    *("date", "run", "seconds", "execution", "status"),
    *("metric", "threshold", "verdict", "billed s", "cost"),
)
_BAR = 30


@app.command()
def backfill_report(
    backfill_id: BackfillId,
    airflow_url: AirflowUrl = _URL,
    token: Token = None,
    username: Username = None,
    password: Password = None,
    as_json: AsJson = False,
    conn_id: ConnId = "aws_default",
    region: Region = None,
) -> None:
    """Show a backfill by date: execution, metric, verdict, instance-seconds; exit with 1 if a run failed."""
    with reported():
        backfill = _backfill(backfill_id, airflow_url, token, username, password, conn_id, region)
        report = backfill.report()
    if as_json:
        print_json(report.as_dict())
    else:
        _print(report)
    if any(date.state == "failed" for date in report.dates):
        raise typer.Exit(FAILED)


@app.command()
def backfill_cancel(
    backfill_id: BackfillId,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds to wait for the executions to end.")] = 120,
    airflow_url: AirflowUrl = _URL,
    token: Token = None,
    username: Username = None,
    password: Password = None,
    as_json: AsJson = False,
    conn_id: ConnId = "aws_default",
    region: Region = None,
) -> None:
    """Cancel a backfill, fail its runs and stop their executions; exit with 1 if one is still executing."""
    with reported():
        backfill = _backfill(backfill_id, airflow_url, token, username, password, conn_id, region)
    dag_id = backfill.described["dag_id"]
    if not yes:
        typer.confirm(
            f"Cancel backfill {backfill_id} of {dag_id} and stop its executions?", abort=True, err=True
        )
    with reported():
        done = backfill.cancel(timeout=timeout, progress=lambda line: typer.echo(line, err=True))
    if as_json:
        print_json(done.as_dict())
    else:
        directly = f", {len(done.directly)} of them from here" if done.directly else ""
        typer.echo(f"{len(done.runs)} runs failed, {len(done.stopped)} executions stopped{directly}.")
    for arn in done.running:
        typer.echo(f"Error: {arn} is still executing. Stop it in SageMaker.", err=True)
    if done.running:
        raise typer.Exit(FAILED)


def _backfill(
    backfill_id: int,
    url: str,
    token: str | None,
    username: str | None,
    password: str | None,
    conn_id: str,
    region: str | None,
) -> Backfill:
    # Airflow and boto3 take a second to import, and `--help` needs neither.
    from sagemaker_pipelines.airflow_client import AirflowClient
    from sagemaker_pipelines.cli.backfills import Backfill

    airflow = AirflowClient(url, token=token, username=username, password=password)
    return Backfill(airflow, client_of(conn_id, region), backfill_id)


def _print(report: BackfillReport) -> None:
    from sagemaker_pipelines.aws.billing import billed_text
    from sagemaker_pipelines.aws.steps import money

    rows = [
        (
            date.date[:16].replace("T", " "),
            date.state,
            _rounded(date.seconds, 0),
            (date.pipeline_execution_arn or "").rpartition("/")[2],
            date.execution_status,
            None if date.metric is None else f"{date.metric} {date.value:.6g}",
            date.threshold,
            date.verdict,
            _rounded(date.instance_seconds, 0),
            None if date.instance_seconds is None else money(date.cost, date.currency) or "unknown",
        )
        for date in report.dates
    ]
    print_table(_COLUMNS, rows)
    whole = report.as_dict()["totals"]
    filled = _BAR * whole["done"] // max(1, whole["runs"])
    states = ", ".join(f"{count} {state}" for state, count in sorted(whole["states"].items()))
    typer.echo(f"\n[{'#' * filled}{'.' * (_BAR - filled)}] {whole['done']} of {whole['runs']} done: {states}")
    billed = billed_text(whole)
    typer.echo(
        f"{whole['executions']} executions since the backfill was created{f', {billed}' if billed else ''}"
    )


def _rounded(value: Any, digits: int) -> str | None:
    return None if value is None else f"{float(value):.{digits}f}"
