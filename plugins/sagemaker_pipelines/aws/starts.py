"""The arguments of StartPipelineExecution.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StartPipelineExecution.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sagemaker_pipelines.definition import step_graph
from sagemaker_pipelines.exceptions import ParameterError


def start_request(
    *,
    pipeline_name: str,
    token: str,
    parameters: Mapping[str, str],
    description: str | None = None,
    display_name: str | None = None,
    pipeline_version_id: int | None = None,
    selected_steps: Iterable[str] | None = None,
    source_execution_arn: str | None = None,
    max_parallel_execution_steps: int | None = None,
) -> dict[str, Any]:
    """Return the arguments as JSON types, so that they can be kept and sent again verbatim.

    :param pipeline_name: the pipeline's name or ARN.
    :param token: the ClientRequestToken, 32 to 128 characters; the same one starts one execution only.
    :param parameters: the checked values of the pipeline's parameters.
    :param description: what SageMaker shows of the execution; at most 3,072 characters.
    :param display_name: the execution's name in SageMaker.
    :param pipeline_version_id: the version to execute; None takes the newest.
    :param selected_steps: the steps to run; None runs all.
    :param source_execution_arn: the execution whose results stand in for the steps that are not run.
    :param max_parallel_execution_steps: bound on the steps that run at once.
    """
    request: dict[str, Any] = {"PipelineName": pipeline_name, "ClientRequestToken": token}
    if display_name is not None:
        request["PipelineExecutionDisplayName"] = display_name
    if description is not None:
        request["PipelineExecutionDescription"] = description
    if parameters:
        request["PipelineParameters"] = [
            {"Name": name, "Value": value} for name, value in sorted(parameters.items())
        ]
    if pipeline_version_id is not None:
        request["PipelineVersionId"] = pipeline_version_id
    if selected_steps:
        source = {"SourcePipelineExecutionArn": source_execution_arn} if source_execution_arn else {}
        steps = [{"StepName": name} for name in selected_steps]
        request["SelectiveExecutionConfig"] = {"SelectedSteps": steps, **source}
    if max_parallel_execution_steps is not None:
        request["ParallelismConfiguration"] = {"MaxParallelExecutionSteps": max_parallel_execution_steps}
    return request


def steps_from(definition: Mapping[str, Any], step_name: str) -> list[str]:
    """Return a step and all that follows from it, in the order of the document.

    :param definition: the definition as parsed JSON.
    :param step_name: where to begin.
    :raises ParameterError: the definition has no such step.
    """
    graph = step_graph(definition)
    if step_name not in graph:
        raise ParameterError(f"from_step is {step_name!r}; expected one of {', '.join(graph)}.")
    selected = {step_name}
    while True:
        more = {name for name, needed in graph.items() if needed & selected} - selected
        if not more:
            return [name for name in graph if name in selected]
        selected |= more
