"""``make run``: execute the abalone definition on a local runtime in this process, without Airflow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from rich.console import Console

from local_runtime.console import failure_lines
from local_runtime.deployment import Target, deploy, start
from local_runtime.exceptions import LocalRuntimeError
from local_runtime.progress import StepState, failure_of, follow, log_tail
from local_runtime.server import LocalServer
from local_runtime.settings import Settings
from sagemaker_pipelines.definition import Envelope
from stack.bootstrap import bootstrap
from stack.console import Progress, predictions_lines, show, steps_lines, title_of, verdict_line
from stack.definitions import DEFINITIONS, allowed_arguments
from stack.exceptions import RunFailedError, StackError
from stack.execution import ExecutionReader
from stack.settings import StackSettings

DEFINITION = DEFINITIONS / "abalone.json"


def run(settings: StackSettings, console: Console, *, parameters: Mapping[str, object]) -> None:
    """Execute the definition and print its progress, the evaluation and the predictions.

    A rejected model is a result, not an error.

    :param settings: the stack; the runtime takes a free port and a data folder of its own.
    :param console: where to print.
    :param parameters: values of the definition's parameters.
    :raises RunFailedError: the execution failed; the message names the steps and their reasons.
    """
    progress = Progress(console)
    envelope = Envelope.load(DEFINITION)
    with local_stack(settings, settings.state_dir / "run") as own:
        progress.line(f"local runtime at {own.runtime_url}")
        bootstrap(own)
        name = deploy(envelope, own.target)
        arn = start(envelope, own.target, parameters)
        progress.line(f"execution {arn}")
        status = follow(own.target.client("sagemaker"), arn, partial(progress.steps, name))
        _summarise(own.target, arn, status, console)


@contextmanager
def local_stack(settings: StackSettings, data_dir: Path) -> Iterator[StackSettings]:
    """Run a local runtime in this process; yield settings that lead to it.

    :param settings: what else holds.
    :param data_dir: the runtime's data directory.
    :raises StackError: it cannot start; another one may be using the folder.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    server = LocalServer(
        Settings(
            data_dir=data_dir,
            port=0,
            region=settings.region,
            account_id=settings.account_id,
            allowed_arguments=allowed_arguments(DEFINITIONS),
        )
    )
    try:
        server.start()
    except LocalRuntimeError as error:
        raise StackError(str(error)) from error
    try:
        yield replace(settings, runtime_port=int(server.endpoint_url.rpartition(":")[2]))
    finally:
        server.stop()


def _summarise(target: Target, arn: str, status: str, console: Console) -> None:
    reader = ExecutionReader(target)
    steps = reader.steps(arn)
    show(console, ["", *steps_lines(title_of(arn, status), steps), ""])
    failed = [step for step in steps if step.status == "Failed"]
    rejected = bool(failed) and {step.name for step in failed} <= reader.rejection_steps(arn)
    if status != "Succeeded" and not rejected:
        raise RunFailedError(_cause(target, arn, status, failed))
    if verdict := reader.verdict(arn):
        show(console, [verdict_line(verdict)])
    if rejected:
        show(console, [f"{failed[0].name}: {failure_of(failed[0])}"])
    if predictions := reader.predictions(arn):
        show(console, predictions_lines(predictions))


def _cause(target: Target, arn: str, status: str, failed: list[StepState]) -> str:
    """Return each failed step's reason, and the last lines that its job printed."""
    lines = [f"{arn} ended as {status}."]
    for step in failed:
        lines += failure_lines(step, log_tail(target.client("logs"), step))
    return "\n".join(lines)
