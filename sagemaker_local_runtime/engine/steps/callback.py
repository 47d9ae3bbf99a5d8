"""Callback steps: send a message to a queue, then wait for SendPipelineExecutionStepSuccess or ...Failure.

https://docs.aws.amazon.com/sagemaker/latest/dg/build-and-manage-steps.html#step-type-callback
"""

from __future__ import annotations

import json

from botocore.exceptions import BotoCoreError, ClientError

from sagemaker_local_runtime.engine.callbacks import Callback
from sagemaker_local_runtime.engine.steps.base import StepOutcome, StepRun
from sagemaker_local_runtime.exceptions import AwsError

# SageMaker fails a callback step that nobody answers in this time.
TIMEOUT_SECONDS = 7 * 86_400


class CallbackExecutor:
    """Sends the token to the step's SQS queue and waits for the answer."""

    step_type = "Callback"

    def run(self, step_run: StepRun) -> StepOutcome:
        """Wait for the answer; after a stop, send a second message and keep waiting, as SageMaker documents.

        :raises AwsError: the message cannot be sent to the queue.
        """
        callbacks = step_run.services.callbacks
        callback = callbacks.open(step_run.execution["PipelineExecutionArn"], step_run.step)
        metadata = {"CallbackToken": callback.token, "SqsQueueUrl": step_run.step["SqsQueueUrl"]}
        step_run.record({"Callback": metadata})
        try:
            _send(step_run, callback, "Executing")
            if callbacks.wait(callback, TIMEOUT_SECONDS, stop=step_run.stop) == "stop":
                _send(step_run, callback, "Stopping")
                callbacks.wait(callback, TIMEOUT_SECONDS)
        finally:
            callbacks.discard(callback)
        return _outcome(callback, metadata)


def _outcome(callback: Callback, metadata: dict[str, object]) -> StepOutcome:
    if callback.answer == "Succeeded":
        listed = [{"Name": name, "Value": text} for name, text in callback.texts.items()]
        return StepOutcome(
            status="Succeeded",
            metadata={"Callback": {**metadata, "OutputParameters": listed}},
            properties={"OutputParameters": callback.values},
        )
    reason = callback.failure_reason if callback.answer else "The callback step timed out after 7 days."
    return StepOutcome(status="Failed", metadata={"Callback": metadata}, failure_reason=reason)


def _send(step_run: StepRun, callback: Callback, status: str) -> None:
    body = {
        "token": callback.token,
        "pipelineExecutionArn": step_run.execution["PipelineExecutionArn"],
        "status": status,
        "arguments": step_run.arguments,
    }
    try:
        step_run.services.account.client("sqs").send_message(
            QueueUrl=step_run.step["SqsQueueUrl"], MessageBody=json.dumps(body)
        )
    except ClientError as error:
        detail = error.response["Error"]
        raise AwsError(detail.get("Message", str(error)), code=detail.get("Code")) from error
    except BotoCoreError as error:
        raise AwsError(str(error), code="InternalFailure") from error
