"""The CloudWatch logs of an execution's jobs: ``logs``."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer
from botocore.exceptions import ClientError

from sagemaker_pipelines.cli.account import hook_of
from sagemaker_pipelines.cli.output import FAILED, AsJson, ConnId, Region, print_json, reported
from sagemaker_pipelines.states import Phase, execution_phase

if TYPE_CHECKING:
    from sagemaker_pipelines.hooks.pipeline import SageMakerPipelineHook

app = typer.Typer()
_SECONDS = 2.0


@app.command()
def logs(
    arn: Annotated[str, typer.Argument(help="The execution's ARN.")],
    step: Annotated[str | None, typer.Option(help="One step's; by default all steps'.")] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the execution has ended.")
    ] = False,
    as_json: AsJson = False,
    conn_id: ConnId = "aws_default",
    region: Region = None,
) -> None:
    """Print what the jobs of an execution have logged."""
    with reported():
        hook = hook_of(conn_id, region)
        reader = _Reader(hook, arn, step)
    found = 0
    while True:
        with reported():
            runs = (
                follow
                and execution_phase(hook.describe_execution(arn)["PipelineExecutionStatus"]) is Phase.RUNNING
            )
            events = list(reader.new())
        found += len(events)
        for event in events:
            print_json(event) if as_json else typer.echo(f"{event['step']}: {event['message']}")
        if not runs:
            break
        time.sleep(_SECONDS)
    if not found and step is not None:
        typer.echo(f"{step} has logged nothing, or is no step with a job of {arn}.", err=True)
        raise typer.Exit(FAILED)


class _Reader:
    """Reads each stream on from where it was left."""

    def __init__(self, hook: SageMakerPipelineHook, arn: str, step: str | None) -> None:
        self._hook = hook
        self._arn = arn
        self._step = step
        self._tokens: dict[str, str] = {}

    def new(self) -> Iterator[dict[str, Any]]:
        """Yield what has been logged since the last call."""
        from sagemaker_pipelines.aws.outcome import log_of

        for step in self._hook.list_steps(self._arn):
            if self._step in (None, step["StepName"]) and (place := log_of(step)) is not None:
                yield from self._of_job(step, *place)

    def _of_job(self, step: Mapping[str, Any], group: str, job_name: str) -> Iterator[dict[str, Any]]:
        try:
            streams = self._hook.logs.describe_log_streams(
                logGroupName=group, logStreamNamePrefix=f"{job_name}/"
            )["logStreams"]
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise
            return
        for stream in streams:
            for event in self._of_stream(group, stream["logStreamName"]):
                message = event["message"].rstrip()
                yield {"step": step["StepName"], "timestamp": event["timestamp"], "message": message}

    def _of_stream(self, group: str, stream: str) -> Iterator[dict[str, Any]]:
        while True:
            token = {"nextToken": self._tokens[stream]} if stream in self._tokens else {}
            answer = self._hook.logs.get_log_events(
                logGroupName=group, logStreamName=stream, startFromHead=True, **token
            )
            yield from answer["events"]
            # The same token again says that there is no more for now.
            if answer["nextForwardToken"] == self._tokens.get(stream):
                return
            self._tokens[stream] = answer["nextForwardToken"]
