"""The arguments of StartPipelineExecution.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StartPipelineExecution.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sagemaker_pipelines.definition import mirrored_steps, step_graph
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
    """Return the arguments as JSON types, so that they can be stored and sent again verbatim.

    :param pipeline_name: the pipeline's name or ARN.
    :param token: the ClientRequestToken, 32 to 128 characters; the same token starts only one execution.
    :param parameters: the checked values of the pipeline's parameters.
    :param description: the description of the execution in SageMaker, at most 3,072 characters.
    :param display_name: the execution's name in SageMaker.
    :param pipeline_version_id: the version to execute; None means the newest.
    :param selected_steps: the steps to run; None runs all steps.
    :param source_execution_arn: the execution whose results replace the steps that are not run.
    :param max_parallel_execution_steps: limit on the steps that run at once.
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
    """Return a step and all steps that depend on it, in the order of the document.

    A ForEach step stands for the steps in its body, which cannot be selected.

    :param definition: the definition as parsed JSON.
    :param step_name: the first step.
    :raises ParameterError: the definition has no such step.
    """
    every = step_graph(definition)
    graph = {step.name: every[step.name] for step in mirrored_steps(definition)}
    if step_name not in graph:
        raise ParameterError(f"from_step is {step_name!r}; expected one of {', '.join(graph)}. Correct it.")
    selected = {step_name}
    while True:
        more = {name for name, needed in graph.items() if needed & selected} - selected
        if not more:
            return [name for name in graph if name in selected]
        selected |= more
