"""Tell AWS's errors apart: missing, conflicting, transient."""

from __future__ import annotations

from botocore import exceptions as botocore_errors
from botocore.exceptions import ClientError

# https://docs.aws.amazon.com/sagemaker/latest/APIReference/CommonErrors.html
# Expired credentials count: whoever renews them (an instance role, a secret) does so within the wait.
_TRANSIENT_CODES = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "InternalFailure",
        "InternalServerError",
        "InternalServiceError",
        "ProvisionedThroughputExceededException",
        "RequestExpired",
        "RequestLimitExceeded",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "TooManyRequestsException",
    }
)
_TRANSIENT_EXCEPTIONS = (
    botocore_errors.ConnectionError,
    botocore_errors.HTTPClientError,
    botocore_errors.IncompleteReadError,
    botocore_errors.CredentialRetrievalError,
    botocore_errors.NoCredentialsError,
    ConnectionError,
    TimeoutError,
)


def code_of(error: ClientError) -> str:
    """Return AWS's error code."""
    return str(error.response.get("Error", {}).get("Code", ""))


def is_transient(error: BaseException) -> bool:
    """Return whether the same read may succeed a little later: throttling, 5xx, a lost connection."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return code_of(error) in _TRANSIENT_CODES or int(status or 0) >= 500
    return isinstance(error, _TRANSIENT_EXCEPTIONS)


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
    """Return whether another writer came first: creating an existing pipeline, or a concurrent update."""
    detail = error.response["Error"]
    return detail["Code"] == "ConflictException" or (
        detail["Code"] == "ValidationException" and "must be unique" in detail.get("Message", "")
    )
