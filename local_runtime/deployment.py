"""Upsert a compiled definition at an endpoint and start it, with boto3 alone."""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from local_runtime.account import new_client
from local_runtime.settings import Settings
from sagemaker_pipelines.definition import Envelope, check_parameters


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where a definition is sent.

    :param endpoint_url: where the clients connect to.
    :param bucket: the artifact bucket.
    :param role_arn: the execution role.
    :param region: the region, which decides the images' URIs.
    :param name_prefix: the prefix of the pipeline's name and keys; may be empty.
    """

    endpoint_url: str
    bucket: str
    role_arn: str
    region: str
    name_prefix: str = ""

    @classmethod
    def of(cls, endpoint_url: str, settings: Settings) -> Target:
        """Return the target with the account's default bucket and role."""
        return cls(
            endpoint_url=endpoint_url,
            bucket=settings.bucket,
            role_arn=settings.role_arn,
            region=settings.region,
        )

    def client(self, service: str) -> Any:
        """Return a boto3 client of the endpoint."""
        return new_client(service, self.endpoint_url, self.region)


def create_bucket(s3: Any, bucket: str, region: str) -> None:
    """Create a bucket unless it exists.

    :param s3: a boto3 client.
    """
    location = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    with contextlib.suppress(s3.exceptions.BucketAlreadyOwnedByYou, s3.exceptions.BucketAlreadyExists):
        s3.create_bucket(Bucket=bucket, **location)


def deploy(envelope: Envelope, target: Target) -> str:
    """Upload the assets, create or update the pipeline, and return its name.

    :raises DefinitionError: an asset is missing or was edited after compiling.
    :raises PlaceholderError: a placeholder has no value.
    :raises ClientError: the endpoint refuses the definition.
    """
    s3 = target.client("s3")
    for asset in envelope.assets:
        body = envelope.asset_path(asset).read_bytes()
        s3.put_object(Bucket=target.bucket, Key=asset.key(target.name_prefix), Body=body)
    values = {
        "artifact_bucket": target.bucket,
        "role_arn": target.role_arn,
        "name_prefix": target.name_prefix,
    }
    name = envelope.pipeline_name(target.name_prefix)
    definition = json.dumps(envelope.fill(values, region=target.region))
    sagemaker = target.client("sagemaker")
    request = {"PipelineName": name, "PipelineDefinition": definition, "RoleArn": target.role_arn}
    try:
        sagemaker.describe_pipeline(PipelineName=name)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFound":
            raise
        sagemaker.create_pipeline(**request, ClientRequestToken=uuid.uuid4().hex)
    else:
        sagemaker.update_pipeline(**request)
    return name


def start(envelope: Envelope, target: Target, parameters: Mapping[str, object]) -> str:
    """Start a deployed pipeline and return the execution's ARN.

    :param parameters: values by name, checked against the definition.
    :raises ParameterError: a value does not fit.
    """
    values = check_parameters(envelope.parameters, parameters)
    answer = target.client("sagemaker").start_pipeline_execution(
        PipelineName=envelope.pipeline_name(target.name_prefix),
        PipelineParameters=[{"Name": name, "Value": value} for name, value in values.items()],
        ClientRequestToken=uuid.uuid4().hex,
    )
    return str(answer["PipelineExecutionArn"])
