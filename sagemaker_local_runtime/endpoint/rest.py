"""Requests of services whose action is in the method and path: Lambda and the SageMaker runtime."""

from __future__ import annotations

import re
from functools import cache
from typing import Any
from urllib.parse import parse_qs, unquote

from sagemaker_local_runtime.endpoint.wire import Environ, read_body
from sagemaker_local_runtime.exceptions import AwsError
from sagemaker_local_runtime.service_model import operation, service_model
from sagemaker_local_runtime.validation import read_json, validate


def rest_action(service: str, environ: Environ) -> str:
    """Return the action of a request; "" if the service has none with this method and path.

    :param service: the service's name in botocore.
    """
    return _route(service, environ)[0]


def rest_request(service: str, action: str, environ: Environ) -> dict[str, Any]:
    """Return the members of a request: from its path, its query, its headers and its body.

    :param service: the service's name in botocore.
    :param action: what :func:`rest_action` returned.
    :raises AwsError: the body is not JSON although it should be, or a member is not valid.
    """
    model = operation(action, service)
    assert model is not None
    assert model.input_shape is not None
    query = parse_qs(str(environ.get("QUERY_STRING") or ""))
    found: dict[str, Any] = dict(_route(service, environ)[1])
    body = read_body(environ)
    payload = model.input_shape.serialization.get("payload")
    if payload is None and body:
        document = parsed(body)
        if not isinstance(document, dict):
            raise AwsError("Could not parse request body into json", code="InvalidRequestContentException")
        found = {**document, **found}
    for name, shape in model.input_shape.members.items():
        place, wire_name = shape.serialization.get("location"), shape.serialization.get("name", name)
        given = None
        if place == "header":
            given = _header(environ, wire_name)
        elif place == "querystring":
            given = "".join(query.get(wire_name, [])[:1])
        if given:
            found[name] = int(given) if shape.type_name == "integer" and given.isdecimal() else given
    # A payload is not JSON, and only its presence is checked.
    checked = validate(action, found if payload is None else {**found, payload: ""}, service)
    return checked if payload is None else {**checked, payload: body}


def parsed(body: bytes) -> Any:
    """Return the value of a JSON body.

    :raises AwsError: it is not JSON.
    """
    try:
        return read_json(body)
    except (ValueError, RecursionError) as error:
        raise AwsError(
            f"Could not parse request body into json: {error}", code="InvalidRequestContentException"
        ) from error


def _header(environ: Environ, name: str) -> Any:
    variable = name.upper().replace("-", "_")
    return environ.get(variable if variable == "CONTENT_TYPE" else f"HTTP_{variable}")


def _route(service: str, environ: Environ) -> tuple[str, dict[str, str]]:
    """Return the action of a path, and the members in it."""
    path = (environ.get("PATH_INFO") or "/").rstrip("/")
    for method, pattern, action in _routes(service):
        found = pattern.fullmatch(path) if method == environ.get("REQUEST_METHOD") else None
        if found:
            return action, {name: unquote(value) for name, value in found.groupdict().items()}
    return "", {}


@cache
def _routes(service: str) -> list[tuple[str, re.Pattern[str], str]]:
    routes = []
    model = service_model(service)
    for action in model.operation_names:
        http = model.operation_model(action).http
        path = re.sub(
            r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(http["requestUri"].partition("?")[0].rstrip("/"))
        )
        routes.append((http["method"], re.compile(path), action))
    return routes
