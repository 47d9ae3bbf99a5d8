"""Run the SageMaker SDK without a network, without credentials, and without the settings of this machine."""

from __future__ import annotations

import logging
import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import boto3
from botocore.client import BaseClient
from moto import mock_aws  # noqa: TID253 - stands in for AWS while the SDK builds a definition

from sagemaker_compile import sdk
from sagemaker_compile.functions import CapturedFunction, FunctionRecorder
from sagemaker_compile.stand_ins import ARTIFACT_BUCKET, REGION, ROLE_ARN

#: Prefixes of the variables that change how the SDK or boto3 behave.
_FOREIGN = ("AWS_", "BOTO", "SAGEMAKER_", "TRAINING_JOB_")

_UPLOADS = frozenset({"PutObject", "CreateMultipartUpload"})


@dataclass(frozen=True)
class Uploads:
    """What the SDK uploaded while it built a pipeline.

    :param files: the content of each object, by its S3 URI.
    :param folders: the S3 URIs that stand for all objects below them.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    folders: frozenset[str] = frozenset()


class OfflineSession:
    """An AWS in this process, and a session of the SDK that uses it.

    :param session: the session for pipelines that take one.
    :param folders: the S3 URIs of the folders uploaded so far.
    :param functions: the Lambda functions deployed so far, by ARN.
    """

    def __init__(self, session: Any, folders: list[str], functions: Mapping[str, CapturedFunction]) -> None:
        self.session = session
        self._folders = folders
        self.functions = functions

    def uploads(self) -> Uploads:
        """Return what was uploaded so far, to any bucket."""
        s3 = boto3.client("s3")
        files = {}
        for bucket in [item["Name"] for item in s3.list_buckets()["Buckets"]]:
            for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
                for item in page.get("Contents", []):
                    answer = s3.get_object(Bucket=bucket, Key=item["Key"])
                    files[f"s3://{bucket}/{item['Key']}"] = answer["Body"].read()
        return Uploads(files, frozenset(self._folders))


@contextmanager
def offline_environment() -> Iterator[None]:
    """Hide the settings of this machine from boto3 and the SDK, which reads some of them on import."""
    with tempfile.TemporaryDirectory() as empty:
        environment = {key: value for key, value in os.environ.items() if not key.startswith(_FOREIGN)}
        environment.update(
            {
                "AWS_CONFIG_FILE": os.devnull,
                "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
                "AWS_DEFAULT_REGION": REGION,
                "AWS_EC2_METADATA_DISABLED": "true",
                # ModelTrainer would ask IAM, and moto would answer with an error.
                "SAGEMAKER_VALIDATE_ROLE": "false",
                "SAGEMAKER_SUPPRESS_V2_WARNING": "1",
                # Where the SDK looks for its settings.
                "XDG_CONFIG_DIRS": empty,
                "XDG_CONFIG_HOME": empty,
                "HOME": empty,
            }
        )
        # The SDK copies sources into temporary folders, and leaves them behind.
        temporary = patch.object(tempfile, "tempdir", empty)
        with patch.dict(os.environ, environment, clear=True), temporary:
            yield


@contextmanager
def offline_session() -> Iterator[OfflineSession]:
    """Yield a pipeline session whose uploads go to a bucket in this process."""
    # A default session that boto3 made before keeps other credentials.
    default = patch.object(boto3, "DEFAULT_SESSION", None)
    with offline_environment(), mock_aws(), default, _quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _take_role()
        recorder = FunctionRecorder(_read_object)
        with _adapted_calls(recorder), sdk.repeatable() as folders:
            boto3.client("s3").create_bucket(Bucket=ARTIFACT_BUCKET)
            session = sdk.pipeline_session(boto3.Session(), ARTIFACT_BUCKET)
            yield OfflineSession(session, folders, recorder.functions)


def _take_role() -> None:
    """Take the stand-in of the role, so that ``get_execution_role()`` returns it.

    moto gives its credentials the account of the role, too.
    """
    answer = boto3.client("sts").assume_role(RoleArn=ROLE_ARN, RoleSessionName="compile")
    credentials = answer["Credentials"]
    os.environ["AWS_ACCESS_KEY_ID"] = credentials["AccessKeyId"]
    os.environ["AWS_SECRET_ACCESS_KEY"] = credentials["SecretAccessKey"]
    os.environ["AWS_SESSION_TOKEN"] = credentials["SessionToken"]
    boto3.setup_default_session()
    name = ROLE_ARN.rpartition("/")[2]
    boto3.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument="{}")


def _read_object(bucket: str, key: str) -> bytes:
    content: bytes = boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    return content


@contextmanager
def _adapted_calls(recorder: FunctionRecorder) -> Iterator[None]:
    """Create the bucket of an upload, such as that of ``code_location``, and record functions.

    moto would refuse the role of another account, and knows nothing of what runs them.
    """
    call = BaseClient._make_api_call
    recorded = {"CreateFunction": recorder.create, "UpdateFunctionCode": recorder.update}

    def make_api_call(self: Any, operation: str, parameters: Any) -> Any:
        if operation in _UPLOADS:
            # In this region, to create a bucket that exists changes nothing.
            call(self, "CreateBucket", {"Bucket": parameters["Bucket"]})
        if operation in recorded and self.meta.service_model.service_name == "lambda":
            return recorded[operation](parameters)
        return call(self, operation, parameters)

    with patch.object(BaseClient, "_make_api_call", make_api_call):
        yield


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the log messages of the SDK about capturing jobs instead of starting them."""
    disabled = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(disabled)
