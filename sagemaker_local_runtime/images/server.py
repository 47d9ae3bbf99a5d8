"""Answer requests with the HTTP server of an image: ``GET /ping``, then ``POST /invocations``.

https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-batch-code.html
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Sequence
from http.client import HTTPConnection, HTTPException

from sagemaker_local_runtime.images.exceptions import ModelError, UserInputError
from sagemaker_local_runtime.images.handler import Handler, Response
from sagemaker_local_runtime.images.ports import free_port

_START_SECONDS = 120.0
_ANSWER_SECONDS = 600.0
_POLL_SECONDS = 0.05


def start_server(command: Sequence[str]) -> Handler:
    """Start the server of a container, wait until it is healthy, and return the handler that asks it.

    The server ends with the job.

    :param command: the command of the image; ``{port}`` is replaced by the port to listen on.
    :raises ModelError: it ended, or does not answer in time.
    """
    port = free_port()
    words = [word.replace("{port}", str(port)) for word in command]
    # The name by which AWS's toolkits read a port that is not 8080.
    process = subprocess.Popen(words, env={**os.environ, "SAGEMAKER_BIND_TO_PORT": str(port)})
    deadline = time.monotonic() + _START_SECONDS
    while not _is_healthy(port):
        if process.poll() is not None:
            raise ModelError(
                f"The server {words} ended with exit code {process.returncode} before GET /ping."
            )
        if time.monotonic() > deadline:
            raise ModelError(
                f"The server {words} does not answer GET /ping on port {port} after {_START_SECONDS:.0f} s. "
                "It must listen on {port} of its command, or on the port in SAGEMAKER_BIND_TO_PORT."
            )
        time.sleep(_POLL_SECONDS)
    return lambda payload, content_type, accept: _invoke(port, payload, content_type, accept)


def _invoke(port: int, payload: bytes, content_type: str, accept: str) -> Response:
    connection = HTTPConnection("127.0.0.1", port, timeout=_ANSWER_SECONDS)
    try:
        headers = {"Content-Type": content_type, "Accept": accept}
        # A server may answer, and hang up, before it has read the whole payload.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.request("POST", "/invocations", payload, headers)
        answer = connection.getresponse()
        body, status = answer.read(), answer.status
    except (OSError, HTTPException) as error:
        raise ModelError(f"POST /invocations failed: {type(error).__name__}: {error}") from error
    finally:
        connection.close()
    if status >= 400:
        text = f"POST /invocations answered {status}: {body[:500].decode(errors='replace')}"
        raise (UserInputError if status < 500 else ModelError)(text)
    return Response(body, answer.headers.get("Content-Type") or accept)


def _is_healthy(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/ping")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
