"""The SageMaker runtime: InvokeEndpoint.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sagemaker_local_runtime.endpoint.rest import rest_action, rest_request
from sagemaker_local_runtime.endpoint.wire import Answer, Environ, content_length, error_answer, read_body
from sagemaker_local_runtime.exceptions import ValidationError
from sagemaker_local_runtime.hosting.exceptions import ModelFailedError
from sagemaker_local_runtime.hosting.server import MAX_BODY
from sagemaker_local_runtime.hosting.service import EndpointService

_SERVICE = "sagemaker-runtime"
# What would change the answer. An InferenceId only marks what is captured, and nothing is.
_UNSUPPORTED = (
    "CustomAttributes",
    "EnableExplanations",
    "InferenceComponentName",
    "PrefixAwareId",
    "SessionId",
    "TargetContainerHostname",
    "TargetModel",
)


def is_runtime(environ: Environ) -> bool:
    """Return whether a request signed for SageMaker is for its runtime; its metrics are signed so, too."""
    path = str(environ.get("PATH_INFO") or "/")
    return not environ.get("HTTP_X_AMZ_TARGET") and path.startswith("/endpoints/")


def runtime_action(environ: Environ) -> str:
    """Return the action of a request to the SageMaker runtime; "" if there is none."""
    return rest_action(_SERVICE, environ)


def answer_invocation(endpoints: EndpointService, environ: Environ) -> Answer:
    """Answer one request to the SageMaker runtime.

    :param endpoints: the endpoints.
    :raises AwsError: the request is refused.
    """
    action = runtime_action(environ)
    if action != "InvokeEndpoint":
        message = (
            f"The local runtime does not support sagemaker:{action or 'this path'}; it has InvokeEndpoint."
        )
        return error_answer("json", "UnknownOperationException", message, status=404)
    if (content_length(environ) or 0) > MAX_BODY:
        # Read, or the connection would be reset before the client has the answer.
        read_body(environ)
        # As https://github.com/aws/sagemaker-python-sdk/issues/171 shows it, with the limit of that time.
        message = f"HTTP content length exceeded {MAX_BODY} bytes."
        return error_answer("json", "413", message, status=413)
    try:
        return _invoke(endpoints, rest_request(_SERVICE, action, environ))
    except ModelFailedError as error:
        details = {"OriginalStatusCode": error.original_status, "OriginalMessage": error.original_message}
        return error_answer("json", error.code, error.message, status=error.status, details=details)
    except ValidationError as error:
        # This service has another name for it than SageMaker.
        return error_answer("json", "ValidationError", error.message)


def _invoke(endpoints: EndpointService, request: Mapping[str, Any]) -> Answer:
    if refused := [name for name in _UNSUPPORTED if name in request]:
        raise ValidationError(
            f"The local runtime does not support {', '.join(refused)} of InvokeEndpoint. Leave it out."
        )
    variant, response = endpoints.invoke(
        request["EndpointName"],
        request["Body"],
        content_type=request.get("ContentType"),
        accept=request.get("Accept"),
        variant=request.get("TargetVariant"),
    )
    headers = {"Content-Type": response.content_type, "x-Amzn-Invoked-Production-Variant": variant}
    return Answer(body=response.body, headers=headers)
