"""Distinguish AWS's errors: missing, conflicting, transient, and those that somebody has to fix.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/CommonErrors.html
https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html#API_AssumeRoleWithWebIdentity_Errors
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from botocore import exceptions as botocore_errors
from botocore.exceptions import ClientError

_TRANSIENT_CODES = frozenset(
    {
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "IDPCommunicationError",
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "InternalServiceError",
        "OperationAborted",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestAbortedException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "TooManyRequestsException",
    }
)
_TRANSIENT_EXCEPTIONS = (
    botocore_errors.ChecksumError,
    botocore_errors.ConnectionError,
    botocore_errors.FlexibleChecksumError,
    botocore_errors.HTTPClientError,
    botocore_errors.IncompleteReadError,
    ConnectionError,
    TimeoutError,
)
# HeadObject and HeadBucket have no other code than the status.
_DENIED_CODES = frozenset(
    {
        "403",
        "AccessDenied",
        "AccessDeniedException",
        "AuthorizationError",
        "NotAuthorized",
        "UnauthorizedOperation",
    }
)

_RENEW = (
    "Renew the credentials (`aws sso login`, a new session token or web-identity token), or correct the "
    "Airflow connection."
)
_CLOCK = (
    "Check that this machine's clock is right (a signature is valid only for some minutes), and that the "
    "secret key belongs to the access key."
)
_NEW_KEY = (
    "A new access key takes some time to become known; if this one is not new, it was deleted or "
    "deactivated: use another one in the connection."
)
_CERTIFICATE = "Check the certificates: the connection's `verify`, or AWS_CA_BUNDLE."
# Errors that may pass by themselves, or when somebody fixes the cause, or never; each with the cure.
_CODES_WITH_CURE: Mapping[str, str] = {
    **dict.fromkeys(
        (
            "ExpiredToken",
            "ExpiredTokenException",
            "IDPRejectedClaim",
            "InvalidIdentityToken",
            "InvalidIdentityTokenException",
            "TokenRefreshRequired",
        ),
        _RENEW,
    ),
    **dict.fromkeys(
        (
            "InvalidSignatureException",
            "RequestExpired",
            "RequestInTheFuture",
            "RequestTimeTooSkewed",
            "SignatureDoesNotMatch",
        ),
        _CLOCK,
    ),
    **dict.fromkeys(
        ("InvalidAccessKeyId", "InvalidClientTokenId", "InvalidToken", "UnrecognizedClientException"),
        _NEW_KEY,
    ),
}
_EXCEPTIONS_WITH_CURE: Mapping[type[Exception], str] = {
    **dict.fromkeys(
        (
            botocore_errors.CredentialRetrievalError,
            botocore_errors.LoginRefreshRequired,
            botocore_errors.LoginTokenLoadError,
            botocore_errors.MetadataRetrievalError,
            botocore_errors.NoAuthTokenError,
            botocore_errors.NoCredentialsError,
            botocore_errors.SSOError,
            botocore_errors.TokenRetrievalError,
        ),
        _RENEW,
    ),
    botocore_errors.SSLError: _CERTIFICATE,
}


def code_of(error: ClientError) -> str:
    """Return AWS's error code."""
    return str(error.response.get("Error", {}).get("Code", ""))


def is_transient(error: BaseException) -> bool:
    """Return whether the same read may succeed later.

    It may succeed after throttling, a 5xx answer, a lost connection or a damaged answer, and also after
    somebody has renewed credentials or corrected a clock: see :func:`cure_of`.
    """
    if cure_of(error) is not None:
        return True
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return code_of(error) in _TRANSIENT_CODES or status == 429 or int(status or 0) >= 500
    return isinstance(error, _TRANSIENT_EXCEPTIONS)


def cure_of(error: BaseException) -> str | None:
    """Return how to fix an error that may not pass by itself, as a sentence; None for all others."""
    if isinstance(error, ClientError):
        return _CODES_WITH_CURE.get(code_of(error))
    cures = (cure for kind, cure in _EXCEPTIONS_WITH_CURE.items() if isinstance(error, kind))
    return next(cures, None)


def refuse_broken_answers(client: Any) -> Any:
    """Make a client raise an error if a JSON answer was truncated, and return the client.

    botocore 1.43 does not compare lengths, and treats a truncated answer as an answer without members. It
    notices truncated XML by itself.

    :param client: the boto3 client; from now on its calls raise ResponseStreamingError for such answers.
    """
    service = client.meta.service_model
    if service.resolved_protocol in ("json", "rest-json"):
        client.meta.events.register(f"before-parse.{service.service_id.hyphenize()}", _refuse_broken_answer)
    return client


def _refuse_broken_answer(operation_model: Any, response_dict: Mapping[str, Any], **_: Any) -> None:
    if response_dict["status_code"] >= 300 or not getattr(operation_model.output_shape, "members", None):
        return
    try:
        json.loads(response_dict["body"])
    except (ValueError, RecursionError) as error:
        raise botocore_errors.ResponseStreamingError(
            error=f"{operation_model.name} was answered with {len(response_dict['body'])} bytes that are not "
            f"JSON ({error})"
        ) from error


def is_denied(error: ClientError) -> bool:
    """Return whether AWS says that the caller lacks a permission."""
    return code_of(error) in _DENIED_CODES


def is_missing(error: ClientError) -> bool:
    """Return whether AWS says that the resource does not exist."""
    detail = error.response["Error"]
    return detail["Code"] in {"ResourceNotFound", "ResourceNotFoundException"} or (
        detail["Code"] == "ValidationException" and "does not exist" in detail.get("Message", "")
    )


def is_missing_object(error: ClientError) -> bool:
    """Return whether S3 says that the object or its bucket does not exist."""
    return code_of(error) in {"404", "NoSuchKey", "NoSuchBucket", "NotFound"}


def is_conflict(error: ClientError) -> bool:
    """Return whether another writer was faster: it exists already, or was updated concurrently."""
    detail = error.response["Error"]
    return detail["Code"] in {"ConflictException", "ResourceConflictException"} or (
        detail["Code"] == "ValidationException" and "must be unique" in detail.get("Message", "")
    )
