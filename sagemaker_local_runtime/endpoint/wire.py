"""AWS's answers over HTTP: bodies, headers and the three formats of an error."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from xml.sax.saxutils import escape

Environ = dict[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], Any]

JSON_TYPE = "application/x-amz-json-1.1"
# The limit outside S3 is well above AWS's largest document, a pipeline definition of 1 MiB.
MAX_BODY = 16 * 1024**2
MAX_S3_BODY = 5 * 1024**3


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One HTTP response.

    :param status: the HTTP status code.
    :param body: the bytes of the body.
    :param headers: headers other than Content-Length and ``x-amzn-RequestId``.
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    def send(self, start_response: StartResponse) -> Iterable[bytes]:
        """Send the response through WSGI."""
        headers = {
            "Content-Length": str(len(self.body)),
            "x-amzn-RequestId": str(uuid.uuid4()),
            **self.headers,
        }
        start_response(f"{self.status} {_phrase(self.status)}", list(headers.items()))
        return [self.body]


def json_answer(document: Any, *, status: int = 200, content_type: str = JSON_TYPE) -> Answer:
    """Return an answer with a JSON document."""
    return Answer(status=status, body=json.dumps(document).encode(), headers={"Content-Type": content_type})


def error_answer(
    protocol: str,
    code: str,
    message: str,
    *,
    status: int = 400,
    close: bool = False,
    details: Mapping[str, Any] | None = None,
) -> Answer:
    """Return an error in the format of the service's protocol.

    :param protocol: ``"json"``, ``"query"`` (SNS, STS, IAM) or ``"rest-xml"`` (S3).
    :param code: the error code that ``botocore`` puts into ``ClientError``.
    :param message: the error's text.
    :param status: the HTTP status.
    :param close: whether to close the connection, because the request's body was not read.
    :param details: more members of the error, in the JSON format.
    """
    close_header = {"Connection": "close"} if close else {}
    if protocol == "json":
        body = json.dumps({**(details or {}), "__type": code, "message": message}).encode()
        headers = {"Content-Type": JSON_TYPE, "x-amzn-ErrorType": code, **close_header}
        return Answer(status=status, body=body, headers=headers)
    error = f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
    request_id = f"<RequestId>{uuid.uuid4()}</RequestId>"
    if protocol == "query":
        kind = "Sender" if status < 500 else "Receiver"
        text = f"<ErrorResponse><Error><Type>{kind}</Type>{error}</Error>{request_id}</ErrorResponse>"
    else:
        text = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{error}{request_id}</Error>'
    return Answer(status=status, body=text.encode(), headers={"Content-Type": "text/xml", **close_header})


def content_length(environ: Environ) -> int | None:
    """Return the Content-Length, 0 if there is none, None if it is not a number."""
    text = environ.get("CONTENT_LENGTH") or "0"
    return int(text) if text.isascii() and text.isdigit() else None


def read_body(environ: Environ) -> bytes:
    """Return the body of a request whose length was checked."""
    body: bytes = environ["wsgi.input"].read(content_length(environ) or 0)
    return body


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
