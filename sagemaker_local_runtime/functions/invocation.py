"""Run one invocation of a function in the sandbox of jobs."""

from __future__ import annotations

import json
import secrets
import shutil
import signal
import sys
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sagemaker_local_runtime.exceptions import AwsError
from sagemaker_local_runtime.functions.code import FunctionCode
from sagemaker_local_runtime.jobs.logs import JobLog, LogShipper
from sagemaker_local_runtime.jobs.process import Interrupt, ProcessEnd, run_process
from sagemaker_local_runtime.jobs.sandbox import CONTAINER_ROOT, JobFolder, Sandbox
from sagemaker_local_runtime.jobs.untrusted import read_file

# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
MAX_PAYLOAD = 6 << 20
#: Imports may take so long before the function's own time begins.
_INIT_SECONDS = 10
_TIMED_OUT = 128 + signal.SIGALRM
_BOOTSTRAP = Path(__file__).with_name("bootstrap.py")
_TASK_ROOT = f"{CONTAINER_ROOT}/code"


@dataclass(frozen=True, kw_only=True)
class InvocationResult:
    """What an invocation answers.

    :param payload: the JSON text that the function returned, or the description of its error.
    :param error: ``Unhandled`` if the function failed, else None.
    :param log_tail: the end of its log.
    """

    payload: bytes
    error: str | None = None
    log_tail: bytes = b""

    @property
    def document(self) -> Any:
        """The payload's value."""
        return json.loads(self.payload)


@dataclass(frozen=True, kw_only=True)
class Invocation:
    """One request to run a function.

    :param function: the function's document.
    :param event: the JSON value that the handler receives.
    :param longest_seconds: the most that the caller waits; the function's own timeout may be shorter.
    """

    function: Mapping[str, Any]
    event: Any
    longest_seconds: float = 900.0
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def timeout(self) -> float:
        """The seconds that the handler may run."""
        return min(float(self.function["Timeout"]), self.longest_seconds)

    @property
    def log_group(self) -> str:
        """The group of the function's log streams."""
        return f"/aws/lambda/{self.function['FunctionName']}"


class Invoker:
    """Run invocations, each in its own process and folder.

    :param code: the code of functions.
    :param shipper: sends their output to CloudWatch Logs.
    :param folder: where the folders of invocations are.
    """

    def __init__(self, code: FunctionCode, shipper: LogShipper, folder: Path) -> None:
        self._code, self._shipper, self._folder = code, shipper, folder

    def run(self, invocation: Invocation, sandbox: Sandbox, interrupt: Interrupt) -> InvocationResult:
        """Run a function to its end."""
        folder = JobFolder(self._folder / invocation.request_id)
        folder.path.mkdir(parents=True)
        stream = f"{time.strftime('%Y/%m/%d', time.gmtime())}/[$LATEST]{secrets.token_hex(16)}"
        log = self._shipper.open(invocation.log_group, stream, folder.log)
        try:
            self._stage(invocation, folder, stream)
            return self._run(invocation, folder, sandbox, log, interrupt)
        finally:
            log.close()
            shutil.rmtree(folder.path, ignore_errors=True)

    def _stage(self, invocation: Invocation, folder: JobFolder, stream: str) -> None:
        function = invocation.function
        code = folder.host_path(_TASK_ROOT)
        code.mkdir(parents=True)
        self._code.unpack(function["CodeSha256"], code)
        document = {
            "event": invocation.event,
            "request_id": invocation.request_id,
            "handler": function["Handler"],
            "timeout": invocation.timeout,
            "function_name": function["FunctionName"],
            "function_arn": function["FunctionArn"],
            "memory_size": function["MemorySize"],
            "log_group": invocation.log_group,
            "log_stream": stream,
        }
        (folder.ml / "invocation.json").write_text(json.dumps(document))

    def _run(
        self, invocation: Invocation, folder: JobFolder, sandbox: Sandbox, log: JobLog, interrupt: Interrupt
    ) -> InvocationResult:
        request_id, began = invocation.request_id, time.monotonic()
        log.add_line(f"START RequestId: {request_id} Version: $LATEST")
        arguments = sandbox.prepare(
            folder,
            [sys.executable, "-B", str(_BOOTSTRAP), CONTAINER_ROOT],
            _environment(invocation, log),
            _TASK_ROOT,
        )
        ended = run_process(
            arguments,
            on_start=lambda pid: None,
            on_output=log.write,
            interrupt=interrupt,
            timeout=_INIT_SECONDS + invocation.timeout,
        )
        refused = sandbox.launch_error(folder)
        if refused:
            raise AwsError(
                f"The function's process could not be started: {refused}", code="ServiceException", status=500
            )
        result = _result(invocation, folder, ended)
        milliseconds = (time.monotonic() - began) * 1000
        size = invocation.function["MemorySize"]
        if result.error:
            log.add_line(f"{request_id} {result.document.get('errorMessage', '')}")
        log.add_line(f"END RequestId: {request_id}")
        log.add_line(
            f"REPORT RequestId: {request_id}\tDuration: {milliseconds:.2f} ms\t"
            f"Billed Duration: {int(milliseconds) + 1} ms\tMemory Size: {size} MB"
        )
        tail = "\n".join(log.tail).encode()[-4096:]
        return InvocationResult(payload=result.payload, error=result.error, log_tail=tail)


def _environment(invocation: Invocation, log: JobLog) -> dict[str, str]:
    """Return the variables that AWS defines for a function, and its own.

    https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime
    """
    function = invocation.function
    return {
        **function.get("Environment", {}).get("Variables", {}),
        "_HANDLER": function["Handler"],
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{function['Runtime']}",
        "AWS_LAMBDA_FUNCTION_NAME": function["FunctionName"],
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function["MemorySize"]),
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": log.group,
        "AWS_LAMBDA_LOG_STREAM_NAME": log.stream,
        "LAMBDA_TASK_ROOT": _TASK_ROOT,
        "TZ": ":UTC",
    }


def _result(invocation: Invocation, folder: JobFolder, ended: ProcessEnd) -> InvocationResult:
    """Read what the function left, which it may have written itself."""
    if ended.cause == "timeout" or ended.exit_code == _TIMED_OUT:
        return _failure(
            invocation, "Sandbox.Timedout", f"Task timed out after {invocation.timeout:.2f} seconds"
        )
    if ended.cause == "stop":
        return _failure(invocation, "Runtime.ExitError", "The local runtime is shutting down")
    error = read_file(folder.ml / "error", MAX_PAYLOAD + 1)
    if error is not None and isinstance(_value(error), dict):
        return InvocationResult(payload=error, error="Unhandled")
    response = read_file(folder.ml / "response", MAX_PAYLOAD + 1)
    if response is None or ended.exit_code != 0:
        detail = (
            f"exit status {ended.exit_code}" if ended.exit_code < 128 else f"signal {ended.exit_code - 128}"
        )
        return _failure(invocation, "Runtime.ExitError", f"Runtime exited with error: {detail}")
    if len(response) > MAX_PAYLOAD:
        return _failure(
            invocation,
            "Function.ResponseSizeTooLarge",
            f"Response payload size exceeded maximum allowed payload size ({MAX_PAYLOAD} bytes).",
        )
    return InvocationResult(payload=response)


def _failure(invocation: Invocation, kind: str, message: str) -> InvocationResult:
    text = f"RequestId: {invocation.request_id} Error: {message}"
    return InvocationResult(
        payload=json.dumps({"errorType": kind, "errorMessage": text}).encode(), error="Unhandled"
    )


def _value(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
