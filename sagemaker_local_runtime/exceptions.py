"""Errors of the local runtime.

::

    LocalRuntimeError
    ├── SettingsError            the settings or the data directory cannot be used
    ├── EnvironmentBuildError    the Python environment of an image cannot be built
    ├── JobFailedError           ends a job as Failed, with AWS's FailureReason
    ├── JobStoppedError          ends a job as Stopped
    ├── ResolutionError          an expression of the definition has no value
    └── AwsError                 answered to the client in AWS's shape
        ├── ValidationError      ValidationException
        ├── ResourceNotFoundError
        ├── ResourceInUseError
        ├── ResourceLimitError   ResourceLimitExceeded
        └── ConflictError        ConflictException
"""

from __future__ import annotations


class LocalRuntimeError(Exception):
    """Any error that the local runtime raises."""


class SettingsError(LocalRuntimeError):
    """The local runtime cannot start with these settings."""


class EnvironmentBuildError(LocalRuntimeError):
    """The packages of an image or of a requirements file cannot be installed; the message is uv's."""


class ResolutionError(LocalRuntimeError):
    """An expression of the definition cannot be resolved; the step that holds it fails."""


class JobFailedError(LocalRuntimeError):
    """The job ends as Failed; the message is its FailureReason."""


class JobStoppedError(LocalRuntimeError):
    """The job ends as Stopped: somebody stopped it, or it ran out of time (then ``timed_out``)."""

    def __init__(self, *, timed_out: bool = False) -> None:
        super().__init__("The job ran out of time." if timed_out else "The job was stopped.")
        self.timed_out = timed_out


class AwsError(LocalRuntimeError):
    """An error that a client sees: ``{"__type": code, "message": message}``.

    :param message: the text, AWS's own where it is documented.
    :param code: the error code that ``botocore`` reads from ``__type``.
    :param status: the HTTP status.
    """

    code = "InternalFailure"
    status = 400

    def __init__(self, message: str, *, code: str | None = None, status: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.status = status or type(self).status


class ValidationError(AwsError):
    """The request or the definition is not valid."""

    code = "ValidationException"


class ResourceNotFoundError(AwsError):
    """The named resource does not exist."""

    code = "ResourceNotFound"


class ResourceInUseError(AwsError):
    """The named resource already exists or is in use."""

    code = "ResourceInUse"


class ResourceLimitError(AwsError):
    """A quota has been reached."""

    code = "ResourceLimitExceeded"


class ConflictError(AwsError):
    """The resource is in a state that does not allow the call."""

    code = "ConflictException"
