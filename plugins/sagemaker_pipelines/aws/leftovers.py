"""Ask SageMaker what runs and what was left: the orphan sweep's calls."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from sagemaker_pipelines.aws.errors import is_missing

if TYPE_CHECKING:
    from sagemaker_pipelines.hooks.pipeline import SageMakerPipelineHook


def pipeline_names(hook: SageMakerPipelineHook, *, name_prefix: str) -> list[str]:
    """Return the names of the pipelines that begin with a prefix, sorted.

    :param name_prefix: the environment's; an empty one takes every pipeline of the account and region.
    """
    # AWS takes no prefix that ends in a hyphen, as the environment's do.
    stem = name_prefix.rstrip("-")
    found = _items(
        hook, "list_pipelines", "PipelineSummaries", **({"PipelineNamePrefix": stem} if stem else {})
    )
    names = (str(item["PipelineName"]) for item in found)
    return sorted(name for name in names if name.startswith(name_prefix))


def executions(
    hook: SageMakerPipelineHook, names: Sequence[str], *, created_after: datetime
) -> Iterator[dict[str, Any]]:
    """Yield the summaries of the pipelines' executions, each pipeline's newest first.

    :param names: the pipelines; one that was deleted meanwhile is left out.
    :param created_after: none that began before is looked at.
    """
    for name in names:
        try:
            yield from hook.list_executions(name, CreatedAfter=created_after)
        except ClientError as error:
            if not is_missing(error):
                raise
            hook.log.info("Pipeline %s does not exist any longer", name)


def models(
    hook: SageMakerPipelineHook, *, created_after: datetime, created_before: datetime
) -> dict[str, dict[str, Any]]:
    """Return the summaries of the models that were created in between, by ARN."""
    found = _items(
        hook, "list_models", "Models", CreationTimeAfter=created_after, CreationTimeBefore=created_before
    )
    return {str(model["ModelArn"]): model for model in found}


def models_of(hook: SageMakerPipelineHook, pipeline_execution_arn: str) -> set[str]:
    """Return the ARNs of the models that an execution's own steps have created."""
    return {
        str(step["Metadata"]["Model"]["Arn"])
        for step in hook.list_steps(pipeline_execution_arn)
        # What a selective execution took over belongs to the execution that it came from.
        if "Model" in step.get("Metadata", {}) and "SelectiveExecutionResult" not in step
    }


def models_in_use(hook: SageMakerPipelineHook) -> set[str]:
    """Return the names of the models that a transform job or an endpoint configuration refers to."""
    names = set()
    for status in ("InProgress", "Stopping"):
        for job in _items(hook, "list_transform_jobs", "TransformJobSummaries", StatusEquals=status):
            names.add(
                str(hook.conn.describe_transform_job(TransformJobName=job["TransformJobName"])["ModelName"])
            )
    for config in _items(hook, "list_endpoint_configs", "EndpointConfigs"):
        described = hook.conn.describe_endpoint_config(EndpointConfigName=config["EndpointConfigName"])
        for variants in ("ProductionVariants", "ShadowProductionVariants"):
            names |= {
                str(variant["ModelName"]) for variant in described.get(variants, ()) if "ModelName" in variant
            }
    return names


def delete_model(hook: SageMakerPipelineHook, model_name: str) -> None:
    """Delete a model; one that is gone already is no error."""
    try:
        hook.conn.delete_model(ModelName=model_name)
    except ClientError as error:
        # DeleteModel has a wording of its own.
        if not is_missing(error) and "could not find" not in str(error).lower():
            raise


def _items(
    hook: SageMakerPipelineHook, operation: str, key: str, **arguments: Any
) -> Iterator[dict[str, Any]]:
    for page in hook.conn.get_paginator(operation).paginate(**arguments, PaginationConfig={"PageSize": 100}):
        yield from page[key]
