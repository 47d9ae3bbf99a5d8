"""The command line of the local runtime."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from pathlib import Path
from typing import Annotated

import typer

from local_runtime.exceptions import SettingsError
from local_runtime.settings import Settings

app = typer.Typer(add_completion=False, no_args_is_help=False)

DataDir = Annotated[Path, typer.Option(help="Everything that outlives the process: objects, jobs, records.")]


@app.callback(invoke_without_command=True)
def serve(
    context: typer.Context,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on; 0 takes a free one.")] = 4566,
    data_dir: DataDir = Path(".state/runtime"),
    region: Annotated[str, typer.Option(help="The region of every ARN.")] = "us-east-1",
    account_id: Annotated[str, typer.Option(help="The account of every ARN.")] = "123456789012",
    max_concurrent_executions: Annotated[int, typer.Option(help="SageMaker's quota.")] = 20,
    job_memory_mb: Annotated[int | None, typer.Option(help="Memory limit of one job, MiB.")] = None,
    job_max_runtime_seconds: Annotated[int, typer.Option(help="Time limit of any job.")] = 86_400,
    isolation: Annotated[
        str | None, typer.Option(help="How jobs see /opt/ml: namespace or rewrite; probed by default.")
    ] = None,
    log_level: Annotated[str, typer.Option(help="DEBUG shows every request.")] = "INFO",
) -> None:
    """Serve AWS's API on loopback until SIGTERM or SIGINT."""
    if context.invoked_subcommand is not None:
        return
    _configure_logging(log_level)
    settings = Settings(
        data_dir=data_dir.resolve(),
        host=host,
        port=port,
        region=region,
        account_id=account_id,
        max_concurrent_executions=max_concurrent_executions,
        job_memory_mb=job_memory_mb,
        job_max_runtime_seconds=job_max_runtime_seconds,
        isolation=isolation,
    )
    serve_until_signal(settings)


def serve_until_signal(settings: Settings) -> None:
    """Serve in this process until SIGTERM or SIGINT, then stop in order.

    :raises SettingsError: the port or the data directory cannot be used.
    """
    from local_runtime.server import LocalServer

    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    with LocalServer(settings) as server:
        # Read by scripts that start it on a free port.
        print(f"Local runtime at {server.endpoint_url} with {settings.data_dir}", flush=True)
        print(f"Jobs: {server.runtime.jobs.sandbox.description}", flush=True)
        ended.wait()


def main() -> None:
    """Run the command line; what the user can mend is printed in one line."""
    try:
        app(prog_name="python -m local_runtime")
    except SettingsError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(2)


def _configure_logging(level: str) -> None:
    logging.basicConfig(level=level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for name in ("botocore", "urllib3", "s3transfer"):
        logging.getLogger(name).setLevel(logging.WARNING)
