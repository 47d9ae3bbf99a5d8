"""One execution: ``start``, ``wait``, ``status``, ``stop``, ``retry``."""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sagemaker_pipelines.cli.account import client_of, person
from sagemaker_pipelines.cli.output import (
    FAILED,
    AsJson,
    ConnId,
    Params,
    Region,
    print_fields,
    print_json,
    print_table,
    reported,
)
from sagemaker_pipelines.cli.targets import envelope_of
from sagemaker_pipelines.cli.waiting import wait_for
from sagemaker_pipelines.definition import check_parameters, parameters_of
from sagemaker_pipelines.exceptions import ParameterError

if TYPE_CHECKING:
    from sagemaker_pipelines.aws.client import SageMakerClient

app = typer.Typer()
Arn = Annotated[str, typer.Argument(help="The execution's ARN.")]
_SHOWN = ("pipeline_execution_arn", "display_name", "status", "started", "ended")
Timeout = Annotated[
    float | None, typer.Option(min=0, help="Seconds to wait at most; exits with 5 after that.")
]
StopOnInterrupt = Annotated[
    bool, typer.Option("--stop-on-interrupt", help="Stop the execution on Ctrl-C; by default it runs on.")
]


@app.command()
def start(
    target: Annotated[str, typer.Argument(help="A deployed pipeline, or the path of its definition.")],
    param: Params = None,
    version: Annotated[int | None, typer.Option(help="The version to execute.")] = None,
    display_name: Annotated[str | None, typer.Option(help="The name of the execution.")] = None,
    token: Annotated[str | None, typer.Option(help="The same token starts only one execution.")] = None,
    source_execution_arn: Annotated[
        str | None, typer.Option(help="An execution whose results replace the steps that do not run.")
    ] = None,
    from_step: Annotated[
        str | None, typer.Option(help="Run this step and all steps that depend on it.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it has ended.")] = False,
    timeout: Timeout = None,
    stop_on_interrupt: StopOnInterrupt = False,
    as_json: AsJson = False,
    conn_id: ConnId = "aws_default",
    region: Region = None,
) -> None:
    """Check the parameters and start an execution."""
    with reported():
        client = client_of(conn_id, region)
        token = token or secrets.token_hex(16)
        request = _request(client, target, param or [], version, display_name, token)
        if from_step is not None:
            request["SelectiveExecutionConfig"] = _selection(client, source_execution_arn, from_step)
        arn = client.start_execution(request)
    if not wait:
        started = {"pipeline_execution_arn": arn, "token": token}
        print_json(started) if as_json else print_fields(started)
        return
    typer.echo(f"{arn} (token {token})", err=True)
    wait_for(client, arn, timeout=timeout, stop_on_interrupt=stop_on_interrupt, as_json=as_json)


@app.command()
def wait(
    arn: Arn,
    timeout: Timeout = None,
    stop_on_interrupt: StopOnInterrupt = False,
    as_json: AsJson = False,
    conn_id: ConnId = "aws_default",
    region: Region = None,
) -> None:
    """Wait for an execution; exit with 0 succeeded, 1 failed, 3 rejected, 4 stopped, 5 timeout."""
    with reported():
        client = client_of(conn_id, region)
        client.describe_execution(arn)
    wait_for(client, arn, timeout=timeout, stop_on_interrupt=stop_on_interrupt, as_json=as_json)


@app.command()
def status(arn: Arn, as_json: AsJson = False, conn_id: ConnId = "aws_default", region: Region = None) -> None:
    """Show an execution's steps, their durations and causes, and what they bill."""
    from sagemaker_pipelines.aws.billing import billed_text
    from sagemaker_pipelines.aws.record import execution_record
    from sagemaker_pipelines.aws.steps import money

    with reported():
        record = execution_record(client_of(conn_id, region), arn)
    if as_json:
        print_json(record.as_dict())
        return
    shown = {name: getattr(record, name) for name in _SHOWN}
    print_fields({**shown, "billed": billed_text(record.as_dict())})
    rows = [
        (
            step.name,
            step.status,
            None if step.seconds is None else round(step.seconds, 1),
            step.bill and round(step.bill.instance_seconds, 1),
            step.bill and (money(step.bill.cost, step.bill.currency) or "unknown"),
            step.reason,
        )
        for step in record.steps
    ]
    print_table(("step", "status", "seconds", "instance-seconds", "cost", "cause"), rows)


@app.command()
def stop(
    arn: Arn,
    seconds: Annotated[float, typer.Option(min=0, help="How long to retry until it is stopping.")] = 30,
    as_json: AsJson = False,
    conn_id: ConnId = "aws_default",
    region: Region = None,
) -> None:
    """Stop an execution, and check that it is stopping."""
    from sagemaker_pipelines.aws.stopping import stop_execution

    with reported():
        client = client_of(conn_id, region)
        client.describe_execution(arn)
        stopped = stop_execution(client.sagemaker, arn, seconds=seconds, log=client.log)
        now = client.execution_status(arn)
    answer = {"pipeline_execution_arn": arn, "status": now}
    print_json(answer) if as_json else print_fields(answer)
    if not stopped:
        raise typer.Exit(FAILED)


@app.command()
def retry(
    arn: Arn,
    token: Annotated[str | None, typer.Option(help="The same token resumes only once.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it has ended.")] = False,
    timeout: Timeout = None,
    as_json: AsJson = False,
    conn_id: ConnId = "aws_default",
    region: Region = None,
) -> None:
    """Resume an execution that failed or was stopped; the steps that succeeded are kept."""
    with reported():
        client = client_of(conn_id, region)
        token = token or secrets.token_hex(16)
        client.describe_owner(arn, _resumed_description(client, arn))
        client.retry_execution(arn, token=_digest(token))
    if wait:
        wait_for(client, arn, timeout=timeout, stop_on_interrupt=False, as_json=as_json)
        return
    answer = {"pipeline_execution_arn": arn, "token": token}
    print_json(answer) if as_json else print_fields(answer)


def _request(
    client: SageMakerClient,
    target: str,
    params: list[str],
    version: int | None,
    display_name: str | None,
    token: str,
) -> dict[str, Any]:
    """Return the checked arguments of StartPipelineExecution."""
    from sagemaker_pipelines.aws.starts import start_request
    from sagemaker_pipelines.masking import is_secret

    if (envelope := envelope_of(target)) is not None:
        name, parameters = envelope.pipeline_name(client.settings.name_prefix), envelope.parameters
    else:
        name = target
        parameters = parameters_of(client.deployed_definition(target, pipeline_version_id=version))
    values = check_parameters(parameters, dict(map(pair, params)), is_secret=is_secret)
    return start_request(
        pipeline_name=name,
        token=_digest(token),
        parameters=values,
        description=f"Started by {person()}",
        display_name=display_name,
        pipeline_version_id=version,
    )


def _resumed_description(client: SageMakerClient, arn: str) -> str:
    """Return a description with which no DAG run owns the execution any longer.

    The previous description follows, because a start finds its execution by the generation in it.
    """
    before = client.describe_execution(arn).get("PipelineExecutionDescription", "")
    return f"Resumed by {person()}. Before: {before}"[:3072]


def _selection(client: SageMakerClient, source: str | None, from_step: str) -> dict[str, Any]:
    from sagemaker_pipelines.aws.starts import steps_from

    if source is None:
        raise ParameterError(
            f"--from-step is {from_step!r}, but --source-execution-arn is missing. Expected the ARN of an "
            "earlier execution whose results replace the other steps. Add it."
        )
    steps = steps_from(client.execution_definition(source), from_step)
    return {"SourcePipelineExecutionArn": source, "SelectedSteps": [{"StepName": name} for name in steps]}


def pair(text: str) -> tuple[str, str]:
    """Return the name and the value of a ``--param``.

    :raises ParameterError: it is not of the form NAME=VALUE.
    """
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise ParameterError(f"--param is {text!r}; expected NAME=VALUE. Correct it.")
    return name, value


def _digest(token: str) -> str:
    # SageMaker requires 32 to 128 characters.
    return hashlib.sha256(token.encode()).hexdigest()
