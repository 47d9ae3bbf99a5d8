"""The control API at ``/_local_runtime/``: health, recorded calls, faults, tokens and the clock.

::

    GET    /_local_runtime/health   {"status": "ok", "pid": 1, "data_dir": "...", ...}; 503 while starting
    GET    /_local_runtime/calls    {"counts": {"sagemaker:StartPipelineExecution": 2}, "by_access_key": ...}
    DELETE /_local_runtime/calls
    GET    /_local_runtime/faults   {"faults": [...]}, each with "fired"
    POST   /_local_runtime/faults   one rule or a list of them (see faults.py)
    DELETE /_local_runtime/faults
    DELETE /_local_runtime/tokens   forget every ClientRequestToken, as AWS does after some time
    POST   /_local_runtime/clock    {"seconds": 3600} advances the clock of schedules; returns what fired
"""

from __future__ import annotations

import json
import os
from typing import Any

from sagemaker_local_runtime.endpoint.calls import CallLog
from sagemaker_local_runtime.endpoint.wire import (
    MAX_BODY,
    Answer,
    Environ,
    content_length,
    error_answer,
    json_answer,
    read_body,
)
from sagemaker_local_runtime.engine.record import EXECUTION
from sagemaker_local_runtime.engine.starts import START_TOKEN
from sagemaker_local_runtime.exceptions import AwsError, ValidationError
from sagemaker_local_runtime.faults import Fault
from sagemaker_local_runtime.runtime import Runtime

PREFIX = "/_local_runtime/"
_LONGEST_MOVE = 10 * 366 * 86_400


def control(runtime: Runtime, calls: CallLog, ready: bool, environ: Environ) -> Answer:
    """Answer one request to the control API; an invalid one gets 400 or 404 and the reason as JSON."""
    method = environ.get("REQUEST_METHOD", "")
    resource = (environ.get("PATH_INFO") or "").removeprefix(PREFIX)
    length = content_length(environ)
    if length is None or length > MAX_BODY:
        return error_answer(
            "json",
            "ValidationException",
            f"The body's length is missing or above the accepted {MAX_BODY} bytes.",
            close=True,
        )
    body = read_body(environ)
    try:
        if resource == "health" and method == "GET":
            return _health(runtime, ready)
        answer = _state(runtime, calls, f"{method} {resource}", body)
    except AwsError as error:
        return error_answer("json", error.code, error.message, status=error.status)
    if answer is None:
        message = f"The control API has no {method[:16]} {resource[:64]!r}; see docs/local_runtime.md."
        return error_answer("json", "ResourceNotFound", message, status=404)
    return json_answer(answer, content_type="application/json")


def _health(runtime: Runtime, ready: bool) -> Answer:
    document = {
        "status": "ok" if ready else "starting",
        "pid": os.getpid(),
        "data_dir": str(runtime.account.settings.data_dir),
        "region": runtime.account.settings.region,
        "account_id": runtime.account.settings.account_id,
    }
    return json_answer(document, status=200 if ready else 503, content_type="application/json")


def _state(runtime: Runtime, calls: CallLog, request: str, body: bytes) -> dict[str, Any] | None:
    """Read or change the state that tests control; None if the request is unknown."""
    if request == "DELETE calls":
        calls.clear()
    elif request == "DELETE faults":
        runtime.faults.clear()
    elif request == "DELETE tokens":
        return {"forgotten": forget_tokens(runtime)}
    elif request == "POST clock":
        return {
            "fired": runtime.schedules.advance(_seconds(body)),
            "now": runtime.schedules.now().isoformat(),
        }
    elif request == "POST faults":
        for fault in _faults(body):
            runtime.faults.add(fault)
    if request.endswith(" calls"):
        return calls.as_document() if request[:-6] in ("GET", "DELETE") else None
    if request.endswith(" faults"):
        return (
            {"faults": runtime.faults.as_documents()} if request[:-7] in ("GET", "POST", "DELETE") else None
        )
    return None


def _seconds(body: bytes) -> float:
    try:
        seconds = json.loads(body)["seconds"]
    except (ValueError, KeyError, TypeError):
        seconds = None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= _LONGEST_MOVE:
        raise ValidationError(
            f'The clock cannot be moved by {body[:64]!r}, expected {{"seconds": 3600}}: from 0 to ten years.'
        )
    return seconds


def _faults(body: bytes) -> list[Fault]:
    try:
        document = json.loads(body)
    except ValueError as error:
        raise ValidationError(f"The body is not JSON: {error}") from error
    return [Fault.from_document(item) for item in (document if isinstance(document, list) else [document])]


def forget_tokens(runtime: Runtime) -> int:
    """Forget every ClientRequestToken of starts, stops and retries; return how many starts were forgotten."""
    with runtime.account.store.transaction():
        for execution in runtime.account.store.list(EXECUTION):
            arn = execution["PipelineExecutionArn"]
            runtime.account.store.update(EXECUTION, arn, _stop_tokens=None, _retry_tokens=None)
        return runtime.account.store.delete_all(START_TOKEN)
