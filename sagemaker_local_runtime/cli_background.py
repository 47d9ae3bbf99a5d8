"""The commands about a local runtime in another process: ``up``, ``down`` and ``env``."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from sagemaker_local_runtime.client_environment import client_environment
from sagemaker_local_runtime.data_lock import Server, announced, server_of
from sagemaker_local_runtime.exceptions import LocalRuntimeError, SettingsError

_HEALTH_SECONDS, _STOP_SECONDS = 30.0, 120.0
_POLL_SECONDS = 0.1

DataDir = Annotated[Path, typer.Option(help="The directory that keeps objects, jobs and records.")]
DATA_DIR = Path(".state/runtime")


def up(context: typer.Context, data_dir: DataDir = DATA_DIR) -> None:
    """Start a local runtime in the background, unless it runs already, and wait until it answers.

    Further options, such as --port, are those of `local`.
    """
    server = server_of(data_dir)
    if server is not None and context.args:
        raise SettingsError(
            f"A local runtime already uses {data_dir}, so {' '.join(context.args)} has no effect. "
            "Stop it first with `sagemaker-pipelines local down`, or choose another --data-dir."
        )
    server = server or _start(data_dir, context.args)
    typer.echo(f"Local runtime at {server.endpoint_url} with {data_dir}, process {server.pid}")


def down(data_dir: DataDir = DATA_DIR) -> None:
    """Stop the local runtime that uses a data directory, and wait until it has ended; it keeps its data."""
    server = server_of(data_dir)
    if server is None:
        typer.echo(f"No local runtime uses {data_dir}.")
        return
    with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
        os.kill(server.pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_SECONDS
    while server_of(data_dir) == server:
        if time.monotonic() > deadline:
            raise LocalRuntimeError(
                f"The local runtime at {server.endpoint_url}, process {server.pid}, has not ended within "
                f"{_STOP_SECONDS:.0f} s. Wait, or end it with `kill -9 {server.pid}`; it keeps its data."
            )
        time.sleep(_POLL_SECONDS)
    typer.echo(f"Stopped the local runtime at {server.endpoint_url}.")


def env(
    endpoint_url: Annotated[
        str | None,
        typer.Option(help="Where the local runtime listens; by default, the one of --data-dir or port 4566."),
    ] = None,
    data_dir: DataDir = DATA_DIR,
) -> None:
    """Print the variables that point a shell's AWS clients at a local runtime: eval "$(... local env)"."""
    if endpoint_url is None:
        server = server_of(data_dir)
        endpoint_url = server.endpoint_url if server else "http://127.0.0.1:4566"
    region = region_of(endpoint_url)
    # A session token or a profile of a real account must not reach other clients.
    print("unset AWS_PROFILE AWS_SESSION_TOKEN AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")
    for name, value in client_environment(endpoint_url, region).items():
        print(f"export {name}={shlex.quote(value)}")


def _start(data_dir: Path, options: list[str]) -> Server:
    """Start a server that outlives this process.

    :raises LocalRuntimeError: it ended instead; the message has its output.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    path = data_dir / "server.log"
    command = [sys.executable, "-m", "sagemaker_local_runtime", "--data-dir", str(data_dir), *options]
    with path.open("ab") as log:
        start = log.tell()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    while process.poll() is None:
        server = announced(data_dir)
        if server is not None and server.pid == process.pid:
            return server
        time.sleep(_POLL_SECONDS)
    output = path.read_bytes()[start:].decode("utf-8", "replace").strip()
    raise LocalRuntimeError(f"The local runtime did not start. Its output, from {path}: {output}")


def region_of(endpoint_url: str) -> str:
    """Return the region of the local runtime at an address.

    :raises SettingsError: no local runtime answers there.
    """
    from urllib.request import ProxyHandler, build_opener

    # Loopback never goes through a proxy.
    opener = build_opener(ProxyHandler({}))
    try:
        with opener.open(f"{endpoint_url}/_local_runtime/health", timeout=_HEALTH_SECONDS) as answer:
            return str(json.load(answer)["region"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise SettingsError(
            f"No local runtime answers at {endpoint_url}: {error}. "
            "Start it with `sagemaker-pipelines local up`, or give its address with --endpoint-url."
        ) from error
