"""The CloudWatch logs of an execution's jobs: ``logs``."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer
from botocore.exceptions import ClientError

from sagemaker_pipelines.cli.account import client_of
from sagemaker_pipelines.cli.output import FAILED, AsJson, ConnId, Region, print_json, reported
from sagemaker_pipelines.states import Phase, execution_phase

if TYPE_CHECKING:
    from sagemaker_pipelines.aws.client import SageMakerClient
    from sagemaker_pipelines.aws.steps import Step

app = typer.Typer()
_SECONDS = 2.0


@app.command()
def logs(
    arn: Annotated[str, typer.Argument(help="The execution's ARN.")],
    step: Annotated[str | None, typer.Option(help="Only this step; by default all steps.")] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Continue until the execution has ended.")
    ] = False,
    as_json: AsJson = False,
    conn_id: ConnId = "aws_default",
    region: Region = None,
) -> None:
    """Print what the jobs of an execution have logged."""
    with reported():
        client = client_of(conn_id, region)
        reader = _Reader(client, arn, step)
    found = 0
    while True:
        with reported():
            runs = follow and execution_phase(client.execution_status(arn)) is Phase.RUNNING
            events = list(reader.new())
        found += len(events)
        for event in events:
            print_json(event) if as_json else typer.echo(f"{event['step']}: {event['message']}")
        if not runs:
            break
        time.sleep(_SECONDS)
    if not found and step is not None:
        typer.echo(f"{step} has logged nothing, or it is not a step of {arn} with a job.", err=True)
        raise typer.Exit(FAILED)


class _Reader:
    """Reads each stream from where it stopped last time."""

    def __init__(self, client: SageMakerClient, arn: str, step: str | None) -> None:
        self._client = client
        self._arn = arn
        self._step = step
        self._tokens: dict[str, str] = {}

    def new(self) -> Iterator[dict[str, Any]]:
        """Yield what has been logged since the last call."""
        for step in self._client.list_steps(self._arn):
            if self._step in (None, step.name) and step.log_group:
                yield from self._of_job(step, step.log_group)

    def _of_job(self, step: Step, group: str) -> Iterator[dict[str, Any]]:
        try:
            streams = self._client.logs.describe_log_streams(logGroupName=group, **step.log_stream_filter)[
                "logStreams"
            ]
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise
            return
        for stream in streams:
            for event in self._of_stream(group, stream["logStreamName"]):
                message = event["message"].rstrip()
                yield {"step": step.name, "timestamp": event["timestamp"], "message": message}

    def _of_stream(self, group: str, stream: str) -> Iterator[dict[str, Any]]:
        while True:
            token = {"nextToken": self._tokens[stream]} if stream in self._tokens else {}
            answer = self._client.logs.get_log_events(
                logGroupName=group, logStreamName=stream, startFromHead=True, **token
            )
            yield from answer["events"]
            # The same token again means that there is nothing more for now.
            if answer["nextForwardToken"] == self._tokens.get(stream):
                return
            self._tokens[stream] = answer["nextForwardToken"]
