"""Ask SageMaker what runs and what was left: the orphan sweep's calls."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from sagemaker_pipelines.aws.client import SageMakerClient
from sagemaker_pipelines.aws.errors import is_missing


def executions(
    client: SageMakerClient, names: Sequence[str], *, created_after: datetime
) -> Iterator[dict[str, Any]]:
    """Yield the summaries of the pipelines' executions, each pipeline's newest first.

    :param names: the pipelines; one that was deleted meanwhile is left out.
    :param created_after: none that began before is looked at.
    """
    for name in names:
        try:
            yield from client.list_executions(name, CreatedAfter=created_after)
        except ClientError as error:
            if not is_missing(error):
                raise
            client.log.info("Pipeline %s does not exist any longer", name)


def models(
    client: SageMakerClient, *, created_after: datetime, created_before: datetime
) -> dict[str, dict[str, Any]]:
    """Return the summaries of the models that were created in between, by ARN."""
    found = client.pages(
        "list_models", "Models", CreationTimeAfter=created_after, CreationTimeBefore=created_before
    )
    return {str(model["ModelArn"]): model for model in found}


def models_of(client: SageMakerClient, pipeline_execution_arn: str) -> set[str]:
    """Return the ARNs of the models that an execution's own steps have created."""
    return {
        step.arn
        for step in client.list_steps(pipeline_execution_arn)
        # What a selective execution took over belongs to the execution that it came from.
        if step.type == "Model" and step.arn and not step.is_taken_over
    }


def models_in_use(client: SageMakerClient) -> set[str]:
    """Return the names of the models that a transform job or an endpoint configuration refers to."""
    names = set()
    for status in ("InProgress", "Stopping"):
        for job in client.pages("list_transform_jobs", "TransformJobSummaries", StatusEquals=status):
            names.add(
                str(
                    client.sagemaker.describe_transform_job(TransformJobName=job["TransformJobName"])[
                        "ModelName"
                    ]
                )
            )
    for config in client.pages("list_endpoint_configs", "EndpointConfigs"):
        described = client.sagemaker.describe_endpoint_config(EndpointConfigName=config["EndpointConfigName"])
        for variants in ("ProductionVariants", "ShadowProductionVariants"):
            names |= {
                str(variant["ModelName"]) for variant in described.get(variants, ()) if "ModelName" in variant
            }
    return names


def delete_model(client: SageMakerClient, model_name: str) -> None:
    """Delete a model; one that is gone already is no error."""
    try:
        client.sagemaker.delete_model(ModelName=model_name)
    except ClientError as error:
        # DeleteModel has a wording of its own.
        if not is_missing(error) and "could not find" not in str(error).lower():
            raise
