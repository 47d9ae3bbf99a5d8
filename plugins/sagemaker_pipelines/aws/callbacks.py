"""Answer a Callback step.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_SendPipelineExecutionStepSuccess.html
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_SendPipelineExecutionStepFailure.html
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from sagemaker_pipelines.aws.client import SageMakerClient
from sagemaker_pipelines.aws.errors import code_of, is_missing
from sagemaker_pipelines.definition.parameters import Parameter, as_string
from sagemaker_pipelines.exceptions import ParameterError
from sagemaker_pipelines.messages import cut

# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_SendPipelineExecutionStepFailure.html
MAX_REASON = 256
MAX_OUTPUTS = 50
_TYPES: Mapping[type, str] = {bool: "Boolean", int: "Integer", float: "Float", str: "String"}


def succeed(client: SageMakerClient, callback_token: str, outputs: Mapping[str, object]) -> bool:
    """Let a Callback step succeed; the same answer may be sent again.

    :param client: the client that calls AWS.
    :param callback_token: the token of the step's message.
    :param outputs: the outputs that the step declares; texts, numbers and booleans.
    :return: whether the step accepted the answer; see :func:`fail`.
    :raises ParameterError: an output cannot be sent, or does not fit what the step declares.
    """
    if len(outputs) > MAX_OUTPUTS:
        raise ParameterError(
            f"There are {len(outputs)} outputs; SageMaker accepts at most {MAX_OUTPUTS}. Put the values into "
            "an object in S3, and return its URI."
        )
    texts = [{"Name": name, "Value": _text(name, value)} for name, value in sorted(outputs.items())]
    try:
        return _send(client, "send_pipeline_execution_step_success", callback_token, OutputParameters=texts)
    except ClientError as error:
        if code_of(error) == "ValidationException":
            raise ParameterError(
                f"SageMaker refuses the outputs {sorted(outputs)}: {error}. Expected those that the Callback "
                "step declares. Correct outputs=, or the step."
            ) from error
        raise


def fail(client: SageMakerClient, callback_token: str, reason: str) -> bool:
    """Let a Callback step fail; the same answer may be sent again.

    :param client: the client that calls AWS.
    :param callback_token: the token of the step's message.
    :param reason: the step's FailureReason; what exceeds 256 characters is cut.
    :return: whether the step accepted the answer; it does not if it has another one already, or if its
        execution has ended.
    """
    answer = {"FailureReason": cut(reason, MAX_REASON)}
    return _send(client, "send_pipeline_execution_step_failure", callback_token, **answer)


def _text(name: str, value: object) -> str:
    kind = _TYPES.get(type(value))
    if kind is None:
        raise ParameterError(
            f"The output {name} is of the type {type(value).__name__}; expected a text, a number or a "
            "boolean. Return one of these, or put the value into an object in S3 and return its URI."
        )
    return as_string(Parameter(name, kind), value)


def _send(client: SageMakerClient, operation: str, callback_token: str, **answer: Any) -> bool:
    # The same answer has the same token, so that AWS recognises a repeated one.
    request = hashlib.sha256(f"{callback_token} {answer}".encode()).hexdigest()
    try:
        call = getattr(client.sagemaker, operation)
        call(CallbackToken=callback_token, ClientRequestToken=request, **answer)
    except ClientError as error:
        if is_missing(error) or code_of(error) == "ConflictException":
            client.log.warning(
                "The step with the callback token %s does not accept this answer: %s", callback_token, error
            )
            return False
        raise
    return True
