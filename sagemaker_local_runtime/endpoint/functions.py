"""Lambda's actions: their routes, requests and answers.

https://docs.aws.amazon.com/lambda/latest/api/API_Operations.html
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any
from urllib.parse import parse_qs, unquote

from sagemaker_local_runtime.endpoint.wire import Answer, Environ, error_answer, json_answer, read_body
from sagemaker_local_runtime.exceptions import AwsError
from sagemaker_local_runtime.functions.invocation import MAX_PAYLOAD
from sagemaker_local_runtime.functions.service import FunctionService
from sagemaker_local_runtime.service_model import operation, service_model
from sagemaker_local_runtime.validation import read_json, validate

Request = Mapping[str, Any]
_SERVICE, _JSON = "lambda", "application/json"


def lambda_action(environ: Environ) -> str:
    """Return the action of a request, which follows from its method and path; "" if there is none."""
    return _route(environ)[0]


def answer_lambda(functions: FunctionService, action: str, environ: Environ) -> Answer:
    """Answer one request to Lambda.

    :param functions: the functions.
    :param action: what :func:`lambda_action` returned.
    :raises AwsError: the request is refused.
    """
    handler = _ACTIONS.get(action)
    if handler is None:
        known = ", ".join(sorted(_ACTIONS))
        message = f"The local runtime does not support lambda:{action or 'this path'}; it has {known}."
        return error_answer("json", "UnknownOperationException", message, status=404)
    return handler(functions, _request(action, environ))


def _request(action: str, environ: Environ) -> dict[str, Any]:
    """Return the members of a request: from its path, its query, its headers and its body."""
    model = operation(action, _SERVICE)
    assert model is not None
    assert model.input_shape is not None
    query = parse_qs(str(environ.get("QUERY_STRING") or ""))
    found: dict[str, Any] = dict(_route(environ)[1])
    body = read_body(environ)
    payload = model.input_shape.serialization.get("payload")
    if payload is None and body:
        document = _parsed(body)
        if not isinstance(document, dict):
            raise AwsError("Could not parse request body into json", code="InvalidRequestContentException")
        found = {**document, **found}
    for name, shape in model.input_shape.members.items():
        place, wire_name = shape.serialization.get("location"), shape.serialization.get("name", name)
        given = None
        if place == "header":
            given = environ.get(f"HTTP_{wire_name.upper().replace('-', '_')}")
        elif place == "querystring":
            given = "".join(query.get(wire_name, [])[:1])
        if given:
            found[name] = int(given) if shape.type_name == "integer" and given.isdecimal() else given
    checked = validate(action, found, _SERVICE)
    return checked if payload is None else {**checked, payload: body}


def _parsed(body: bytes) -> Any:
    try:
        return read_json(body)
    except (ValueError, RecursionError) as error:
        raise AwsError(
            f"Could not parse request body into json: {error}", code="InvalidRequestContentException"
        ) from error


def _create(functions: FunctionService, request: Request) -> Answer:
    return json_answer(functions.create(request), status=201, content_type=_JSON)


def _get(functions: FunctionService, request: Request) -> Answer:
    name = request["FunctionName"]
    found = {
        "Configuration": functions.get(name, request.get("Qualifier")),
        # Without a Location: nothing serves the archive.
        "Code": {"RepositoryType": "S3"},
        "Tags": functions.tags(name),
    }
    return json_answer(found, content_type=_JSON)


def _get_configuration(functions: FunctionService, request: Request) -> Answer:
    found = functions.get(request["FunctionName"], request.get("Qualifier"))
    return json_answer(found, content_type=_JSON)


def _list(functions: FunctionService, request: Request) -> Answer:
    found = functions.list()
    begin = next(
        (at for at, function in enumerate(found) if function["FunctionName"] >= request.get("Marker", "")),
        len(found),
    )
    page = found[begin : begin + min(50, request.get("MaxItems", 50))]
    rest = found[begin + len(page) :]
    marker = {"NextMarker": rest[0]["FunctionName"]} if rest else {}
    return json_answer({"Functions": page, **marker}, content_type=_JSON)


def _update_code(functions: FunctionService, request: Request) -> Answer:
    return json_answer(functions.update_code(request), content_type=_JSON)


def _update_configuration(functions: FunctionService, request: Request) -> Answer:
    return json_answer(functions.update_configuration(request), content_type=_JSON)


def _delete(functions: FunctionService, request: Request) -> Answer:
    if request.get("Qualifier"):
        raise AwsError(
            "The local runtime keeps no versions of functions. Delete the function without a Qualifier.",
            code="InvalidParameterValueException",
        )
    functions.delete(request["FunctionName"])
    return Answer(status=204)


def _invoke(functions: FunctionService, request: Request) -> Answer:
    name, kind = request["FunctionName"], request.get("InvocationType", "RequestResponse")
    qualifier, body = request.get("Qualifier"), request["Payload"]
    if kind == "Event":
        raise AwsError(
            "The local runtime does not support the InvocationType Event; use RequestResponse.",
            code="InvalidParameterValueException",
        )
    if len(body) > MAX_PAYLOAD:
        raise AwsError(
            f"Request must be smaller than {MAX_PAYLOAD} bytes for the InvokeFunction operation",
            code="RequestTooLargeException",
            status=413,
        )
    event = _parsed(body or b"{}")
    if kind == "DryRun":
        functions.get(name, qualifier)
        return Answer(status=204)
    result = functions.invoke(name, event, qualifier=qualifier)
    headers = {"Content-Type": _JSON, "X-Amz-Executed-Version": "$LATEST"}
    if result.error:
        headers["X-Amz-Function-Error"] = result.error
    if request.get("LogType") == "Tail":
        headers["X-Amz-Log-Result"] = base64.b64encode(result.log_tail).decode()
    return Answer(body=result.payload, headers=headers)


_ACTIONS: dict[str, Callable[[FunctionService, Request], Answer]] = {
    "CreateFunction": _create,
    "DeleteFunction": _delete,
    "GetFunction": _get,
    "GetFunctionConfiguration": _get_configuration,
    "Invoke": _invoke,
    "ListFunctions": _list,
    "UpdateFunctionCode": _update_code,
    "UpdateFunctionConfiguration": _update_configuration,
}


def _route(environ: Environ) -> tuple[str, dict[str, str]]:
    """Return the action of a path, and the members in it."""
    path = (environ.get("PATH_INFO") or "/").rstrip("/")
    for method, pattern, action in _routes():
        found = pattern.fullmatch(path) if method == environ.get("REQUEST_METHOD") else None
        if found:
            return action, {name: unquote(value) for name, value in found.groupdict().items()}
    return "", {}


@cache
def _routes() -> list[tuple[str, re.Pattern[str], str]]:
    routes = []
    model = service_model(_SERVICE)
    for action in model.operation_names:
        http = model.operation_model(action).http
        path = re.sub(
            r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(http["requestUri"].partition("?")[0].rstrip("/"))
        )
        routes.append((http["method"], re.compile(path), action))
    return routes
