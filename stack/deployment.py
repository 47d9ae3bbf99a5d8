"""Deploy a compiled definition and start it, with boto3 alone."""

from __future__ import annotations

import json
from typing import Any

from botocore.exceptions import ClientError

from sagemaker_pipelines.definition import Envelope, check_parameters
from stack.bootstrap import client
from stack.settings import StackSettings


def deploy(settings: StackSettings, envelope: Envelope) -> str:
    """Upload the assets, create or update the pipeline, and return its name.

    :param settings: the stack, whose local runtime must be up.
    :param envelope: the compiled definition.
    """
    s3, sagemaker = client(settings, "s3"), client(settings, "sagemaker")
    for asset in envelope.assets:
        body = (envelope.root / asset.path).read_bytes()
        s3.put_object(Bucket=settings.bucket, Key=asset.key(settings.name_prefix), Body=body)
    values = {
        "artifact_bucket": settings.bucket,
        "role_arn": settings.role_arn,
        "name_prefix": settings.name_prefix,
    }
    request = {
        "PipelineName": envelope.pipeline_name(settings.name_prefix),
        "PipelineDefinition": json.dumps(envelope.fill(values, region=settings.region)),
        "RoleArn": settings.role_arn,
    }
    try:
        sagemaker.describe_pipeline(PipelineName=request["PipelineName"])
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFound":
            raise
        sagemaker.create_pipeline(**request)
    else:
        sagemaker.update_pipeline(**request)
    return request["PipelineName"]


def start(settings: StackSettings, envelope: Envelope, parameters: dict[str, Any]) -> str:
    """Start an execution of a deployed pipeline and return its ARN.

    :param parameters: values of any type, checked against the definition's parameters.
    """
    values = check_parameters(envelope.parameters, parameters)
    answer = client(settings, "sagemaker").start_pipeline_execution(
        PipelineName=envelope.pipeline_name(settings.name_prefix),
        PipelineParameters=[{"Name": name, "Value": value} for name, value in values.items()],
    )
    return str(answer["PipelineExecutionArn"])
