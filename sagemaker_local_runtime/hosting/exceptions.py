"""Errors of endpoints.

::

    LocalRuntimeError
    ├── NotHealthyError          a container cannot be started
    └── AwsError
        └── ModelFailedError     ModelError: a model answered with an error
"""

from __future__ import annotations

from sagemaker_local_runtime.exceptions import AwsError, LocalRuntimeError


class NotHealthyError(LocalRuntimeError):
    """A container cannot be started; the message says why."""


class ModelFailedError(AwsError):
    """A model answered with an error.

    :param original_status: the HTTP status of the container's answer; 0 if it did not answer.
    :param original_message: the body of its answer.
    """

    code = "ModelError"
    status = 424

    def __init__(self, original_status: int, original_message: str) -> None:
        kind = "client" if 400 <= original_status < 500 else "server"
        # As in https://github.com/RamVegiraju/SageMaker-Deployment/issues/3.
        super().__init__(
            f'Received {kind} error ({original_status}) from primary with message "{original_message}".'
        )
        self.original_status, self.original_message = original_status, original_message
