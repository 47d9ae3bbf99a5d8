"""Stop an execution reliably within a few seconds, even from a signal handler."""

from __future__ import annotations

import time
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from sagemaker_pipelines.aws.account import Logger
from sagemaker_pipelines.aws.errors import code_of, is_missing, is_transient
from sagemaker_pipelines.aws.steps import Step
from sagemaker_pipelines.states import EXECUTING, STOPPING, Phase

_RETRY_SECONDS = 0.3
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StopPipelineExecution.html
_SLOW_STEPS = {
    "Callback": "SageMaker does not stop it, but waits until its token is returned",
    "Lambda": "SageMaker waits until the function has returned",
}


def stop_execution(client: Any, pipeline_execution_arn: str, *, seconds: float, log: Logger) -> bool:
    """Ask SageMaker to stop an execution until its status is Stopping, and log which steps delay the end.

    This uses nothing but the given client, so it can run where Airflow's API must not be called.

    :param client: a boto3 client of SageMaker.
    :param pipeline_execution_arn: the execution.
    :param seconds: how long this may take.
    :param log: the log for messages.
    :return: whether the execution is no longer Executing.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            status = _attempt(client, pipeline_execution_arn, log)
        except ClientError:
            log.exception("%s cannot be stopped. Stop it in SageMaker.", pipeline_execution_arn)
            return False
        if status is not None and status != EXECUTING:
            log.info("%s is %s", pipeline_execution_arn, status)
            if status == STOPPING:
                _log_slow_steps(client, pipeline_execution_arn, log)
            return True
        if time.monotonic() + _RETRY_SECONDS >= deadline:
            log.error(
                "%s could not be stopped within %.0f s (status %s). Stop it in SageMaker; the orphan sweep "
                "reports it.",
                pipeline_execution_arn,
                seconds,
                status or "unknown",
            )
            return False
        time.sleep(_RETRY_SECONDS)


def _attempt(client: Any, pipeline_execution_arn: str, log: Logger) -> str | None:
    """Send one stop and return the status afterwards; None if AWS did not answer."""
    try:
        try:
            client.stop_pipeline_execution(PipelineExecutionArn=pipeline_execution_arn)
        except ClientError as error:
            # AWS returns ConflictException between two steps, and ValidationException after the end.
            if code_of(error) not in {"ConflictException", "ValidationException"}:
                raise
            log.info("StopPipelineExecution: %s", error)
        described = client.describe_pipeline_execution(PipelineExecutionArn=pipeline_execution_arn)
    except (ClientError, BotoCoreError) as error:
        if isinstance(error, ClientError) and is_missing(error):
            return "missing"
        if not is_transient(error):
            raise
        return None
    return str(described["PipelineExecutionStatus"])


def _log_slow_steps(client: Any, pipeline_execution_arn: str, log: Logger) -> None:
    try:
        answer = client.list_pipeline_execution_steps(
            PipelineExecutionArn=pipeline_execution_arn, SortOrder="Descending", MaxResults=100
        )
    except (ClientError, BotoCoreError) as error:
        log.info("Its steps cannot be listed: %s", error)
        return
    for step in map(Step.read, answer["PipelineExecutionSteps"]):
        if step.type in _SLOW_STEPS and step.phase is Phase.RUNNING:
            log.warning("Step %s is still running: %s", step.name, _SLOW_STEPS[step.type])
