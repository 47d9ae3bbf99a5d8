"""``smoke``: the command line of a smoke run."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sagemaker_pipelines.cli.account import DEFAULT_CONN_ID, client_of
from sagemaker_pipelines.cli.doctor import account_of, print_findings
from sagemaker_pipelines.cli.output import FAILED, AsJson, ConnId, Region, print_json, reported
from sagemaker_pipelines.cli.policy import AIRFLOW_POLICY, SMOKE_POLICY
from sagemaker_pipelines.cli.waiting import INTERRUPTED
from sagemaker_pipelines.exceptions import SettingsError

if TYPE_CHECKING:
    from sagemaker_pipelines.aws.client import SageMakerClient
    from sagemaker_pipelines.cli.checks import Finding
    from sagemaker_pipelines.cli.smoke.place import Place
    from sagemaker_pipelines.cli.smoke.running import Result, StageResult

app = typer.Typer()
_COLOURS = {"passed": "green", "failed": "red", "interrupted": "yellow"}


@app.command()
def smoke(
    context: typer.Context,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before anything is created.")] = False,
    instance_type: Annotated[
        str | None, typer.Option(help="The instance of the job; by default ml.t3.medium.")
    ] = None,
    out: Annotated[
        Path, typer.Option(help="The folder of the report.", exists=True, file_okay=False, writable=True)
    ] = Path(),
    remove: Annotated[
        str | None, typer.Option(metavar="RUN", help="Only remove what an earlier run has left.")
    ] = None,
    answers: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="Write only the members of the answers to this file, too."),
    ] = None,
    as_json: AsJson = False,
    conn_id: ConnId = DEFAULT_CONN_ID,
    region: Region = None,
) -> None:
    """Run the smallest pipeline in an account, compare AWS's answers, remove everything, write a report."""
    from sagemaker_pipelines.cli.smoke.running import Result
    from sagemaker_pipelines.cli.smoke.running import remove as remove_run

    with reported():
        place = _place(_checked_client(conn_id, region), remove)
        context.call_on_close(place.close)
        if remove is not None:
            result = remove_run(place, Result(), _tell)
    if remove is None:
        bound, values = _agreed(context, place, instance_type, yes=yes)
        with reported():
            result, report = _run(place, values, bound, out, answers)
        if as_json:
            print_json(report)
    _end(context, place, result)


def _agreed(
    context: typer.Context, place: Place, instance_type: str | None, *, yes: bool
) -> tuple[float, Mapping[str, str]]:
    """Check the account, show the plan and ask; return the bound and the parameters."""
    from sagemaker_pipelines.cli.smoke.plan import plan_of

    with reported():
        plan = plan_of(place, {} if instance_type is None else {"InstanceType": instance_type})
        findings = _findings(context.params["conn_id"], context.params["region"])
    print_findings(findings, err=True)
    if any(finding.state == "missing" for finding in findings):
        typer.echo("Nothing was created. Mend what is missing first.", err=True)
        raise typer.Exit(FAILED)
    typer.echo(plan.text, err=True)
    typer.echo(
        f"If this process is killed, what it leaves is removed by: {_removing(context, place)}", err=True
    )
    if not yes:
        typer.confirm("Create this?", abort=True, err=True)
    return plan.bound, plan.parameters


def _run(
    place: Place, parameters: Mapping[str, str], bound: float, folder: Path, answers: Path | None
) -> tuple[Result, dict[str, Any]]:
    """Run the stages and write the report; return both."""
    from sagemaker_pipelines.cli.smoke.report import report_of, write_json, write_report
    from sagemaker_pipelines.cli.smoke.running import run

    result = run(place, parameters, _tell)
    report = report_of(place, result, bound=bound)
    for path in write_report(report, folder, f"smoke-{place.run_id}"):
        typer.echo(f"{path} has been written.", err=True)
    if answers is not None:
        write_json(report["answers"], answers)
    return result, report


def _checked_client(conn_id: str, region: str | None) -> SageMakerClient:
    client = client_of(conn_id, region)
    if not hasattr(client.sagemaker, "delete_processing_job"):
        import botocore

        raise SettingsError(
            f"botocore {botocore.__version__} has no DeleteProcessingJob, with which the jobs of the run are "
            "removed. Nothing was created. Run it with a newer boto3 (pip install --upgrade boto3); "
            "it need not be Airflow's."
        )
    return client


def _place(client: SageMakerClient, run_id: str | None) -> Place:
    from sagemaker_pipelines.cli.smoke.place import Place, new_run_id

    caller = client.account.boto3_client("sts").get_caller_identity()["Arn"].rpartition(":")[2]
    return Place.of(client, run_id or new_run_id(), callers=caller.split("/")[1:])


def _findings(conn_id: str, region: str | None) -> list[Finding]:
    """Return what the doctor finds for the definition of the run."""
    from sagemaker_pipelines.cli.checks import Doctor
    from sagemaker_pipelines.cli.smoke.place import FOLDER

    account, clients = account_of(conn_id, region, FOLDER, policies=(AIRFLOW_POLICY, SMOKE_POLICY))
    return list(Doctor(clients, account).examine())


def _tell(stage: StageResult) -> None:
    state = typer.style(f"{stage.state:<12}", fg=_COLOURS.get(stage.state))
    typer.echo(f"{state} {stage.name:<9} {stage.seconds:6.1f} s  {stage.text}", err=True)


def _end(context: typer.Context, place: Place, result: Result) -> None:
    """Say what is left and how to remove it, and exit with the matching code."""
    from sagemaker_pipelines.cli.smoke.running import INTERRUPTED as INTERRUPTED_STATE
    from sagemaker_pipelines.cli.smoke.running import PASSED

    for each in result.left:
        typer.echo(f"Left: {each.kind} {each.name}: {each.problem}", err=True)
    if any(not each.is_final for each in result.left):
        typer.echo(f"Remove it with: {_removing(context, place)}", err=True)
    elif result.left:
        typer.echo("AWS refuses to remove it; another attempt would not help. Please report this.", err=True)
    if result.state != PASSED:
        raise typer.Exit(INTERRUPTED if result.state == INTERRUPTED_STATE else FAILED)


def _removing(context: typer.Context, place: Place) -> str:
    """Return the command that removes what is left, for the same account."""
    root, own = context.find_root().params, context.params
    options = {
        f"--{name.replace('_', '-')}": root.get(name) for name in ("profile", "endpoint_url", "settings")
    }
    conn_id = None if own["conn_id"] == DEFAULT_CONN_ID else own["conn_id"]
    mine = {"--remove": place.run_id, "--conn-id": conn_id, "--region": own["region"]}
    words = ["sagemaker-pipelines", *_given(options), "smoke", *_given(mine)]
    return shlex.join(words)


def _given(options: dict[str, Any]) -> list[str]:
    return [word for name, value in options.items() if value is not None for word in (name, str(value))]
