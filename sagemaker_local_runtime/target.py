"""Where a definition is executed: an endpoint, with the bucket and the role of its account."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import uuid4

from sagemaker_local_runtime.account import new_client
from sagemaker_local_runtime.settings import Settings
from sagemaker_pipelines.aws.client import SageMakerClient
from sagemaker_pipelines.aws.starts import start_request
from sagemaker_pipelines.definition import Envelope, check_parameters
from sagemaker_pipelines.settings import PipelineSettings


@dataclass(frozen=True, kw_only=True)
class Target:
    """An account of :class:`~sagemaker_pipelines.aws.client.SageMakerClient`.

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
    name = "local"
    log = logging.getLogger(__name__)

    @classmethod
    def of(cls, endpoint_url: str, settings: Settings) -> Target:
        """Return the target with the account's default bucket and role."""
        return cls(
            endpoint_url=endpoint_url,
            bucket=settings.bucket,
            role_arn=settings.role_arn,
            region=settings.region,
        )

    @cached_property
    def settings(self) -> PipelineSettings:
        """The environment."""
        return PipelineSettings(
            artifact_bucket=self.bucket, role_arn=self.role_arn, name_prefix=self.name_prefix
        )

    @cached_property
    def sagemaker(self) -> SageMakerClient:
        """The calls of this target."""
        return SageMakerClient(self)

    def uri(self, key: str) -> str:
        """Return the URI of a key in the artifact bucket; an S3 URI is returned as it is."""
        return key if key.startswith("s3://") else f"s3://{self.bucket}/{key}"

    def boto3_client(self, service: str) -> Any:
        """Return a boto3 client of the endpoint."""
        return new_client(service, self.endpoint_url, self.region)

    def masked(self, value: Any) -> Any:
        """Return the value: what is executed on this machine is no secret here."""
        return value

    def renew(self) -> None:
        """Do nothing: any credentials are accepted."""

    def start(self, envelope: Envelope, parameters: Mapping[str, object]) -> str:
        """Start the pipeline of a definition that was upserted, and return the execution's ARN.

        :param parameters: values by name, checked against the definition.
        :raises ParameterError: a value does not fit.
        """
        values = check_parameters(envelope.parameters, parameters)
        name = envelope.pipeline_name(self.name_prefix)
        request = start_request(pipeline_name=name, token=uuid4().hex, parameters=values)
        return self.sagemaker.start_execution(request)


def create_bucket(s3: Any, bucket: str, region: str) -> None:
    """Create a bucket unless it exists.

    :param s3: a boto3 client.
    """
    location = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    with contextlib.suppress(s3.exceptions.BucketAlreadyOwnedByYou, s3.exceptions.BucketAlreadyExists):
        s3.create_bucket(Bucket=bucket, **location)
