"""The request that begins an execution, made from checked values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sagemaker_pipelines.aws.starts import start_request
from sagemaker_pipelines.definition import MASK, Parameter
from sagemaker_pipelines.exceptions import ParameterError
from sagemaker_pipelines.masking import is_secret
from sagemaker_pipelines.task.logical_start import LogicalStart

# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StartPipelineExecution.html
MAX_DESCRIPTION = 3072


def execution_request(
    start: LogicalStart, *, description: str | None = None, **values: Any
) -> dict[str, Any]:
    """Return the arguments of StartPipelineExecution as JSON types, so that they can be sent again verbatim.

    :param start: provides the token and the beginning of the description.
    :param description: more text for the description, for people.
    :param values: see :func:`~sagemaker_pipelines.aws.starts.start_request`.
    :raises ParameterError: the description is too long.
    """
    return start_request(token=start.token, description=_description(start, description), **values)


def effective_parameters(parameters: Iterable[Parameter], request: Mapping[str, Any]) -> dict[str, str]:
    """Return the values that an execution runs with, by name.

    :param parameters: the parameters of the version that is executed.
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
    # Without the bar, a text that begins like our own ids would be read as one of them.
    description = f"{start.description} | {words}" if words else start.description
    if len(description) > MAX_DESCRIPTION:
        raise ParameterError(
            f"The description is {len(description)} characters long, including the ids of the start; "
            f"SageMaker accepts {MAX_DESCRIPTION}. Shorten {(text or '')[:50]!r}..."
        )
    return description


def without_secrets(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return a request with the values of secrets masked, to be stored where people can read it.

    :param request: the arguments of StartPipelineExecution.
    """
    return _with_parameters(request, lambda item: MASK if is_secret(item["Name"]) else item["Value"])


def with_secrets(kept: Mapping[str, Any], make_request: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
    """Return a request from :func:`without_secrets` as it is sent, with the current values of its secrets.

    :param kept: the request as it was stored.
    :param make_request: returns the request for the current arguments; called only if a value is masked.
    :raises ParameterError: the current arguments have no value for a secret.
    """
    pairs = kept.get("PipelineParameters", ())
    if not any(_is_masked(item) for item in pairs):
        return dict(kept)
    present = {item["Name"]: item["Value"] for item in make_request().get("PipelineParameters", ())}
    missing = [item["Name"] for item in pairs if _is_masked(item) and item["Name"] not in present]
    if missing:
        raise ParameterError(
            f"The first attempt had a value for {', '.join(missing)}, but pipeline_params has none now. "
            "Expected the value again, because secrets are not stored between attempts. Pass it again, or "
            "clear the task to begin a new start."
        )
    return _with_parameters(kept, lambda item: present[item["Name"]] if _is_masked(item) else item["Value"])


def _is_masked(item: Mapping[str, str]) -> bool:
    return item["Value"] == MASK and is_secret(item["Name"])


def _with_parameters(request: Mapping[str, Any], value: Callable[[Mapping[str, str]], str]) -> dict[str, Any]:
    if "PipelineParameters" not in request:
        return dict(request)
    pairs = [{**item, "Value": value(item)} for item in request["PipelineParameters"]]
    return {**request, "PipelineParameters": pairs}
