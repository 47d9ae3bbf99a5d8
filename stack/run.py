"""``make run``: execute the abalone definition on a local runtime in this process, without Airflow."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from local_runtime.exceptions import LocalRuntimeError
from local_runtime.server import LocalServer
from local_runtime.settings import Settings
from sagemaker_pipelines.definition import Envelope
from stack.bootstrap import bootstrap, client
from stack.console import Progress, predictions_lines, show, steps_lines, title_of, verdict
from stack.deployment import deploy, start
from stack.exceptions import RunFailedError, StackError
from stack.execution import RUNNING, ExecutionReader, StepView
from stack.settings import ROOT, StackSettings

DEFINITION = ROOT / "dags" / "definitions" / "abalone.json"
POLL_SECONDS = 0.1


def run(settings: StackSettings, console: Console, *, threshold: float) -> None:
    """Execute the definition and print its progress, the evaluation and the predictions.

    A rejected model is a result, not an error.

    :param settings: the stack; the runtime takes a free port and a data folder of its own.
    :param console: where to print.
    :param threshold: the gate's MseThreshold.
    :raises RunFailedError: the execution failed; the message names the steps and their reasons.
    """
    progress = Progress(console)
    envelope = Envelope.load(DEFINITION)
    with local_stack(settings, settings.state_dir / "run") as own:
        progress.line(f"local runtime at {own.runtime_url}")
        bootstrap(own)
        name = deploy(own, envelope)
        parameters = {"MseThreshold": threshold, "ModelApprovalStatus": "Approved"}
        arn = start(own, envelope, parameters)
        progress.line(f"execution {arn}")
        reader = ExecutionReader(client(own, "sagemaker"), client(own, "s3"))
        status = follow(reader, arn, name, progress)
        _summarise(reader, arn, status, console)


@contextmanager
def local_stack(settings: StackSettings, data_dir: Path) -> Iterator[StackSettings]:
    """Run a local runtime in this process; yield settings that lead to it.

    :param settings: what else holds.
    :param data_dir: the runtime's data directory.
    :raises StackError: it cannot start; another one may be using the folder.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    server = LocalServer(
        Settings(data_dir=data_dir, port=0, region=settings.region, account_id=settings.account_id)
    )
    try:
        server.start()
    except LocalRuntimeError as error:
        raise StackError(str(error)) from error
    try:
        yield replace(settings, runtime_port=int(server.endpoint_url.rpartition(":")[2]))
    finally:
        server.stop()


def follow(reader: ExecutionReader, arn: str, name: str, progress: Progress) -> str:
    """Print each step's changes until the execution has ended; return its status."""
    while True:
        status = reader.status(arn)
        progress.steps(name, reader.steps(arn))
        if status not in RUNNING:
            return status
        time.sleep(POLL_SECONDS)


def _summarise(reader: ExecutionReader, arn: str, status: str, console: Console) -> None:
    steps = reader.steps(arn)
    console.print()
    show(console, [*steps_lines(title_of(arn, status), steps), ""])
    failed = [step for step in steps if step.status == "Failed"]
    rejected = bool(failed) and {step.name for step in failed} <= set(reader.gate(arn).rejection_steps)
    if status != "Succeeded" and not rejected:
        raise RunFailedError(_cause(arn, status, failed))
    show(console, [verdict(reader.metric(arn))])
    if rejected:
        show(console, [f"{failed[0].name}: {failed[0].detail}"])
    if predictions := reader.predictions(arn):
        show(console, predictions_lines(predictions))


def _cause(arn: str, status: str, failed: list[StepView]) -> str:
    reasons = "".join(f"\n  {step.name}: {step.detail}" for step in failed)
    return f"{arn} ended as {status}.{reasons}"
