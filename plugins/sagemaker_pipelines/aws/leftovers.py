"""The orphan sweep's calls to SageMaker and Lambda: what is running, and what was left behind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError
from botocore.exceptions import ConnectionError as NoConnectionError

from sagemaker_pipelines.aws.client import SageMakerClient
from sagemaker_pipelines.aws.environment import environment_of, is_owner
from sagemaker_pipelines.aws.errors import code_of, is_missing
from sagemaker_pipelines.definition import iter_steps, parse_definition


def executions(
    client: SageMakerClient, names: Sequence[str], *, created_after: datetime
) -> Iterator[dict[str, Any]]:
    """Yield the summaries of the pipelines' executions, the newest of each pipeline first.

    :param names: the pipelines; a pipeline that has been deleted is skipped.
    :param created_after: earlier executions are ignored.
    """
    for name in names:
        try:
            yield from client.list_executions(name, CreatedAfter=created_after)
        except ClientError as error:
            if not is_missing(error):
                raise
            client.log.info("Pipeline %s no longer exists", name)


def models(
    client: SageMakerClient, *, created_after: datetime, created_before: datetime
) -> dict[str, dict[str, Any]]:
    """Return the summaries of the models that were created between two times, by ARN."""
    found = client.pages(
        "list_models", "Models", CreationTimeAfter=created_after, CreationTimeBefore=created_before
    )
    return {str(model["ModelArn"]): model for model in found}


def models_of(client: SageMakerClient, pipeline_execution_arn: str) -> set[str]:
    """Return the ARNs of the models that an execution's own steps have created."""
    return {
        step.arn
        for step in client.list_steps(pipeline_execution_arn)
        # A model that a selective execution took over belongs to the execution that created it.
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


def functions(
    client: SageMakerClient,
    name_prefix: str,
    *,
    environment: str,
    created_before: datetime,
    pipelines: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Return the configurations of an environment's Lambda functions that none of its pipelines calls.

    Only the newest version of each pipeline counts. A caller that may not list functions, or has no route to
    Lambda, deploys none.

    :param client: calls AWS.
    :param name_prefix: the prefix of pipelines and functions.
    :param environment: the environment's name; functions of others do not count.
    :param created_before: functions that were changed later are ignored.
    :param pipelines: names of more pipelines that may call them.
    """
    try:
        pages = [*client.functions.get_paginator("list_functions").paginate()]
    except (ClientError, NoConnectionError) as error:
        if isinstance(error, ClientError) and code_of(error) != "AccessDeniedException":
            raise
        client.log.info("Lambda functions are not checked: %s", error)
        return []
    own = [
        function
        for page in pages
        for function in page["Functions"]
        if function["FunctionName"].startswith(name_prefix)
        and is_owner(environment_of(function.get("Description")), environment)
        and datetime.fromisoformat(function["LastModified"]) < created_before
    ]
    called = _called_functions(client, name_prefix, environment, pipelines) if own else set()
    return [function for function in own if function["FunctionArn"] not in called]


def _called_functions(
    client: SageMakerClient, name_prefix: str, environment: str, pipelines: Sequence[str]
) -> set[str]:
    called, names = set(), set(pipelines)
    for pipeline in client.pipelines(""):
        name, owner = pipeline["PipelineName"], environment_of(pipeline.get("PipelineDescription"))
        # An upsert may give a pipeline a name without the prefix.
        if name.startswith(name_prefix) or is_owner(owner, environment):
            names.add(name)
    for name in sorted(names):
        # It may have been deleted since it was listed.
        described = client.describe_pipeline(name)
        for step in iter_steps(parse_definition(described["PipelineDefinition"])) if described else ():
            called.add(str(step.get("FunctionArn")))
    return called


def delete_model(client: SageMakerClient, model_name: str) -> None:
    """Delete a model; it is not an error if it no longer exists."""
    try:
        client.sagemaker.delete_model(ModelName=model_name)
    except ClientError as error:
        # DeleteModel words this error differently.
        if not is_missing(error) and "could not find" not in str(error).lower():
            raise
