"""Lambda's actions: their routes, requests and answers.

https://docs.aws.amazon.com/lambda/latest/api/API_Operations.html
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

from sagemaker_local_runtime.endpoint.rest import parsed, rest_action, rest_request
from sagemaker_local_runtime.endpoint.wire import Answer, Environ, error_answer, json_answer
from sagemaker_local_runtime.exceptions import AwsError
from sagemaker_local_runtime.functions.invocation import MAX_PAYLOAD
from sagemaker_local_runtime.functions.service import FunctionService

Request = Mapping[str, Any]
_SERVICE, _JSON = "lambda", "application/json"


def lambda_action(environ: Environ) -> str:
    """Return the action of a request, which follows from its method and path; "" if there is none."""
    return rest_action(_SERVICE, environ)


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
    return handler(functions, rest_request(_SERVICE, action, environ))


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
    event = parsed(body or b"{}")
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
