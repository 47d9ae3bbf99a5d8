"""``make run``: execute the abalone definition on a local runtime in this process, without Airflow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from sagemaker_local_runtime.exceptions import LocalRuntimeError
from sagemaker_local_runtime.server import LocalServer
from sagemaker_local_runtime.settings import Settings
from sagemaker_local_runtime.target import Target
from sagemaker_pipelines.aws.outcome import execution_outcome
from sagemaker_pipelines.aws.upsert import upsert_pipeline
from sagemaker_pipelines.aws.view import Progress, gate_lines, show, steps_lines, title
from sagemaker_pipelines.aws.watch import ExecutionWatch
from sagemaker_pipelines.definition import Envelope
from sagemaker_pipelines.exceptions import ExecutionError
from stack.bootstrap import bootstrap
from stack.definitions import DEFINITIONS, allowed_arguments
from stack.exceptions import RunFailedError, StackError
from stack.predictions import predictions_lines, predictions_of
from stack.settings import StackSettings

DEFINITION = DEFINITIONS / "abalone.json"


def run(settings: StackSettings, console: Console, *, parameters: Mapping[str, object]) -> None:
    """Execute the definition and print its progress, the evaluation and the predictions.

    A rejected model is a result and not an error.

    :param settings: the stack; its runtime takes a free port and its own data folder.
    :param console: where to print.
    :param parameters: values of the definition's parameters.
    :raises RunFailedError: the execution failed; the message has the steps and their reasons.
    """
    progress = Progress(console)
    envelope = Envelope.load(DEFINITION)
    with local_stack(settings, settings.state_dir / "run") as own:
        progress.line(f"local runtime at {own.runtime_url}")
        bootstrap(own)
        upsert_pipeline(own.target.sagemaker, envelope)
        arn = own.target.start(envelope, parameters)
        progress.line(f"execution {arn}")
        watch = ExecutionWatch(
            own.target.sagemaker,
            arn,
            waiter_delay=0.1,
            log=own.target.log,
            on_steps=partial(progress.steps, envelope.name),
        )
        _summarise(own.target, arn, watch.follow(), console)


@contextmanager
def local_stack(settings: StackSettings, data_dir: Path) -> Iterator[StackSettings]:
    """Run a local runtime in this process, and yield the settings that point at it.

    :param settings: all other settings.
    :param data_dir: the runtime's data directory.
    :raises StackError: it cannot start, for example because another one uses the folder.
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
    client = target.sagemaker
    show(console, ["", *steps_lines(title(arn, status), client.list_steps(arn)), ""])
    try:
        outcome = execution_outcome(client, arn)
    except ExecutionError as error:
        raise RunFailedError(str(error)) from error
    show(console, gate_lines(client, arn))
    if outcome.cause is not None:
        show(console, [f"{outcome.cause.step_name}: {escape(outcome.cause.reason)}"])
    if predictions := predictions_of(client, arn):
        show(console, predictions_lines(predictions))
