"""Run one invocation of a function: ``python bootstrap.py FOLDER``, in the sandbox, as AWS's Python runtime.

The folder has ``invocation.json``; this writes ``response`` or ``error`` there, each a JSON text. It uses
only the standard library.

https://docs.aws.amazon.com/lambda/latest/dg/python-handler.html
https://docs.aws.amazon.com/lambda/latest/dg/python-context.html
https://docs.aws.amazon.com/lambda/latest/dg/python-exceptions.html
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

Document = dict[str, Any]
_FORMAT = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t{request_id}\t%(message)s"


class InvocationError(Exception):
    """The runtime itself refuses the function.

    :param kind: the errorType.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Context:
    """What a handler receives beside the event."""

    def __init__(self, invocation: Document) -> None:
        self.function_name: str = invocation["function_name"]
        self.function_version = "$LATEST"
        self.invoked_function_arn: str = invocation["function_arn"]
        self.memory_limit_in_mb = str(invocation["memory_size"])
        self.aws_request_id: str = invocation["request_id"]
        self.log_group_name: str = invocation["log_group"]
        self.log_stream_name: str = invocation["log_stream"]
        self.identity = SimpleNamespace(cognito_identity_id=None, cognito_identity_pool_id=None)
        self.client_context = None
        self._deadline = time.monotonic() + invocation["timeout"]

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until the function times out."""
        return max(0, int((self._deadline - time.monotonic()) * 1000))


def main(folder: Path) -> int:
    """Run the handler, and write what it returned or raised; return the exit code."""
    invocation = json.loads((folder / "invocation.json").read_bytes())
    try:
        _set_up_logging(invocation["request_id"])
        handler = _load(invocation["handler"])
        context = Context(invocation)
        # The kernel ends the process, whatever it does then.
        signal.setitimer(signal.ITIMER_REAL, invocation["timeout"])
        answer = handler(invocation["event"], context)
        signal.setitimer(signal.ITIMER_REAL, 0)
        (folder / "response").write_text(_as_json(answer))
    except Exception as error:
        signal.setitimer(signal.ITIMER_REAL, 0)
        described = _described(error)
        print(f"[ERROR] {described['errorType']}: {described['errorMessage']}")
        print("".join(["Traceback (most recent call last):\n", *described["stackTrace"]]))
        (folder / "error").write_text(json.dumps({**described, "requestId": invocation["request_id"]}))
    return 0


def _set_up_logging(request_id: str) -> None:
    formatter = logging.Formatter(_FORMAT.format(request_id=request_id), "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(formatter)
    logging.getLogger().addHandler(handler)


def _load(name: str) -> Callable[[Any, Context], Any]:
    """Import the handler, whose name is ``file.function``."""
    module_name, dot, function = name.rpartition(".")
    if not dot:
        raise InvocationError(
            "Runtime.MalformedHandlerName",
            f"Bad handler '{name}': not enough values to unpack (expected 2, got 1)",
        )
    sys.path[0] = os.environ["LAMBDA_TASK_ROOT"]
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as error:
        message = f"Unable to import module '{module_name}': {error}"
        raise InvocationError("Runtime.ImportModuleError", message) from error
    except SyntaxError as error:
        message = f"Syntax error in module '{module_name}': {error}"
        raise InvocationError("Runtime.UserCodeSyntaxError", message) from error
    if not hasattr(module, function):
        message = f"Handler '{function}' missing on module '{module_name}'"
        raise InvocationError("Runtime.HandlerNotFound", message)
    handler: Callable[[Any, Context], Any] = getattr(module, function)
    return handler


def _as_json(answer: Any) -> str:
    try:
        return json.dumps(answer, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        message = f"Unable to marshal response: {error}"
        raise InvocationError("Runtime.MarshalError", message) from error


def _described(error: Exception) -> Document:
    if isinstance(error, InvocationError):
        return {"errorMessage": str(error), "errorType": error.kind, "stackTrace": []}
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
    return {
        "errorMessage": str(error),
        "errorType": type(error).__name__,
        "stackTrace": traceback.format_list(frames),
    }


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
