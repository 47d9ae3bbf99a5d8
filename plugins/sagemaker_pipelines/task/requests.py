"""The request that begins an execution, made of values that were checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sagemaker_pipelines.aws.starts import start_request
from sagemaker_pipelines.definition import Parameter
from sagemaker_pipelines.exceptions import ParameterError
from sagemaker_pipelines.task.logical_start import LogicalStart

# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StartPipelineExecution.html
MAX_DESCRIPTION = 3072


def execution_request(
    start: LogicalStart, *, description: str | None = None, **values: Any
) -> dict[str, Any]:
    """Return the arguments of StartPipelineExecution, as JSON types, so that they can be sent again verbatim.

    :param start: gives the token and the beginning of the description.
    :param description: more text of the description, for people.
    :param values: see :func:`~sagemaker_pipelines.aws.starts.start_request`.
    :raises ParameterError: the description is too long.
    """
    return start_request(token=start.token, description=_description(start, description), **values)


def effective_parameters(parameters: Iterable[Parameter], request: Mapping[str, Any]) -> dict[str, str]:
    """Return with which values an execution runs, by name.

    :param parameters: of the version that is executed.
    :param request: the arguments of StartPipelineExecution.
    """
    sent = {item["Name"]: item["Value"] for item in request.get("PipelineParameters", ())}
    return {parameter.name: str(sent.get(parameter.name, parameter.default)) for parameter in parameters}


def resume_request(
    start: LogicalStart, pipeline_execution_arn: str, *, description: str | None = None
) -> dict[str, Any]:
    """Return the arguments of RetryPipelineExecution, for a run that resumes an earlier run's execution."""
    return {
        "PipelineExecutionArn": pipeline_execution_arn,
        "PipelineExecutionDescription": _description(start, description),
        "ClientRequestToken": start.token,
    }


def _description(start: LogicalStart, text: str | None) -> str:
    words = " ".join((text or "").split())
    # The bar keeps a text that begins as our own ids do from being read as one.
    description = f"{start.description} | {words}" if words else start.description
    if len(description) > MAX_DESCRIPTION:
        raise ParameterError(
            f"The description is {len(description)} characters long, together with the ids of the start; "
            f"SageMaker accepts {MAX_DESCRIPTION}. Shorten {(text or '')[:50]!r}..."
        )
    return description
