"""The WSGI application: our SageMaker actions, the control API, and moto for everything else."""

from __future__ import annotations

import io
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from sagemaker_local_runtime.api.registry import ACTIONS
from sagemaker_local_runtime.endpoint.browsers import is_loopback, refuse_page
from sagemaker_local_runtime.endpoint.calls import Call, CallLog, identify
from sagemaker_local_runtime.endpoint.cloudformation import refuse_template
from sagemaker_local_runtime.endpoint.control import control
from sagemaker_local_runtime.endpoint.functions import answer_lambda, lambda_action
from sagemaker_local_runtime.endpoint.iam import simulate_principal_policy
from sagemaker_local_runtime.endpoint.invocations import answer_invocation, is_runtime
from sagemaker_local_runtime.endpoint.records import RECORDS, answer_record
from sagemaker_local_runtime.endpoint.static import StaticServices
from sagemaker_local_runtime.endpoint.wire import (
    MAX_BODY,
    MAX_S3_BODY,
    Answer,
    Environ,
    StartResponse,
    content_length,
    error_answer,
    json_answer,
    read_body,
)
from sagemaker_local_runtime.exceptions import AwsError
from sagemaker_local_runtime.faults import Fault
from sagemaker_local_runtime.runtime import Runtime
from sagemaker_local_runtime.service_model import operation
from sagemaker_local_runtime.validation import read_json, validate

logger = logging.getLogger(__name__)

_READY_SECONDS = 60.0


class Application:
    """Answer every request of one server; no request can make it raise.

    :param runtime: the services. While they recover, SageMaker's actions wait for ``ready``.
    :param static: moto's services.
    """

    def __init__(self, runtime: Runtime, static: StaticServices) -> None:
        self.runtime = runtime
        self.calls = CallLog()
        self.ready = threading.Event()
        self._static = static
        self._loopback = is_loopback(runtime.account.settings.host)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        foreign = refuse_page(environ, listens_on_loopback=self._loopback, protocol="json")
        if foreign:
            return foreign.send(start_response)
        if (environ.get("PATH_INFO") or "/").startswith("/_local_runtime/"):
            return control(self.runtime, self.calls, self.ready.is_set(), environ).send(start_response)
        call = identify(environ)
        self.calls.add(call)
        refused = _refuse_body(environ, call)
        if refused:
            return refused.send(start_response)
        fault = self.runtime.faults.matching(call.name)
        if fault is None:
            return self._dispatch(environ, start_response, call)
        return self._answer_with(fault, environ, start_response, call)

    def _dispatch(self, environ: Environ, start_response: StartResponse, call: Call) -> Iterable[bytes]:
        if call.service == "sagemaker" and is_runtime(environ):
            endpoints = self.runtime.endpoints
            return self._answer(lambda: answer_invocation(endpoints, environ), call).send(start_response)
        if call.service == "sagemaker" and call.protocol == "json" and call.action:
            return self._sagemaker(environ, call).send(start_response)
        if call.name == "iam:SimulatePrincipalPolicy":
            return simulate_principal_policy(read_body(environ)).send(start_response)
        if call.service == "lambda":
            functions = self.runtime.functions
            return self._answer(lambda: answer_lambda(functions, lambda_action(environ), environ), call).send(
                start_response
            )
        refused = refuse_template(call, environ, self.runtime.storage)
        if refused:
            return refused.send(start_response)
        return self._static.answer(environ, start_response, call)

    def _sagemaker(self, environ: Environ, call: Call) -> Answer:
        """Answer one of our actions or one on a record; refuse any other."""
        handler = ACTIONS.get(call.action)
        if handler is None and call.action not in RECORDS:
            return _refuse_action(call.action)

        def answer() -> Answer:
            request = validate(call.action, _json_body(environ))
            if handler is None:
                return answer_record(self._static, self.runtime.account, request, environ, call)
            return json_answer(handler(self.runtime, request))

        return self._answer(answer, call)

    def _answer(self, answer: Callable[[], Answer], call: Call) -> Answer:
        """Answer a request to one of our own services."""
        try:
            self._wait_until_ready()
            return answer()
        except AwsError as error:
            return error_answer("json", error.code, error.message, status=error.status)
        except Exception:
            logger.exception("The local runtime failed to answer %s", call.name)
            code = "ServiceException" if call.service == "lambda" else "InternalFailure"
            message = "The local runtime failed. Its log shows the cause."
            return error_answer("json", code, message, status=500)

    def _wait_until_ready(self) -> None:
        if not self.ready.wait(_READY_SECONDS):
            raise AwsError(
                "The local runtime is still starting. Try again later.", code="ServiceUnavailable", status=503
            )

    def _answer_with(
        self, fault: Fault, environ: Environ, start_response: StartResponse, call: Call
    ) -> Iterable[bytes]:
        """Answer as a fault rule prescribes."""
        if fault.kind == "latency":
            time.sleep(fault.seconds)
            return self._dispatch(environ, start_response, call)
        if fault.kind == "drop_after":
            # The action takes effect, but its answer is discarded.
            b"".join(self._dispatch(environ, lambda *_: None, call))
            _drop_connection(environ)
        if fault.kind == "drop_before":
            _drop_connection(environ)
        if fault.kind == "throttle":
            code, message, status = _throttled(call)
        else:
            code, message, status = _internal(call)
        return error_answer(call.protocol, code, message, status=status, close=True).send(start_response)


def _throttled(call: Call) -> tuple[str, str, int]:
    if call.protocol == "rest-xml":
        return "SlowDown", "Please reduce your request rate.", 503
    return "Throttling" if call.protocol == "query" else "ThrottlingException", "Rate exceeded", 400


def _internal(call: Call) -> tuple[str, str, int]:
    code = "InternalError" if call.protocol == "rest-xml" else "InternalFailure"
    return code, "We encountered an internal error. Please try again.", 500


def _drop_connection(environ: Environ) -> None:
    """Close the connection without an answer; werkzeug ignores a ConnectionError silently."""
    connection: socket.socket = environ["werkzeug.socket"]
    connection.shutdown(socket.SHUT_RDWR)
    raise ConnectionAbortedError("The connection was dropped by a fault rule.")


def _refuse_body(environ: Environ, call: Call) -> Answer | None:
    """Refuse a body that cannot be read safely, and close the connection since the body stays unread."""
    length = content_length(environ)
    limit = MAX_S3_BODY if call.service == "s3" else MAX_BODY
    if length is None:
        message = f"Content-Length {environ.get('CONTENT_LENGTH')!r} is not a number."
        return error_answer(call.protocol, "MalformedHttpRequest", message, close=True)
    if length > limit:
        return _too_large(call, f"{length} bytes, more than", limit)
    return _refuse_chunks(environ, call)


def _refuse_chunks(environ: Environ, call: Call) -> Answer | None:
    """Read a body of unknown length; refuse one that is too long or badly chunked."""
    if not environ.get("wsgi.input_terminated") or environ.get("CONTENT_LENGTH") or call.service == "s3":
        return None
    try:
        body = environ["wsgi.input"].read(MAX_BODY + 1)
    except OSError as error:
        return error_answer(
            call.protocol, "MalformedHttpRequest", f"The chunked body cannot be read: {error}", close=True
        )
    if len(body) > MAX_BODY:
        return _too_large(call, "more than", MAX_BODY)
    environ["wsgi.input"], environ["CONTENT_LENGTH"] = io.BytesIO(body), str(len(body))
    return None


def _too_large(call: Call, size: str, limit: int) -> Answer:
    code = "EntityTooLarge" if call.service == "s3" else "RequestEntityTooLargeException"
    message = f"The request's body has {size} the accepted {limit} bytes."
    return error_answer(call.protocol, code, message, status=413, close=True)


def _refuse_action(action: str) -> Answer:
    if operation(action) is None:
        message = f"The requested operation {action[:128]!r} is not recognized by the service."
    else:
        message = (
            f"The local runtime does not support SageMaker.{action}: it executes pipelines and their jobs. "
            "docs/local_runtime.md lists what is supported."
        )
    return error_answer("json", "UnknownOperationException", message)


def _json_body(environ: Environ) -> Any:
    try:
        return read_json(read_body(environ) or b"{}")
    except (ValueError, RecursionError) as error:
        raise AwsError(f"The request's body is not JSON: {error}", code="SerializationException") from error
