"""Run the SageMaker SDK without a network, without credentials, and without the settings of this machine."""

from __future__ import annotations

import logging
import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING
from unittest.mock import patch

import boto3
from moto import mock_aws  # noqa: TID253 - stands in for S3 while the SDK builds a definition

from sagemaker_compile.stand_ins import ARTIFACT_BUCKET, REGION

if TYPE_CHECKING:
    from sagemaker.core.workflow.pipeline_context import PipelineSession

#: Prefixes of the variables that change how the SDK or boto3 behave.
_FOREIGN = ("AWS_", "BOTO", "SAGEMAKER_", "TRAINING_JOB_")


@contextmanager
def offline_environment() -> Iterator[None]:
    """Hide the settings of this machine from boto3 and the SDK, which reads some of them on import."""
    with tempfile.TemporaryDirectory() as empty:
        environment = {key: value for key, value in os.environ.items() if not key.startswith(_FOREIGN)}
        environment |= {
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            # ModelTrainer would ask IAM, and moto would answer with an error.
            "SAGEMAKER_VALIDATE_ROLE": "false",
            # Where the SDK looks for its settings.
            "XDG_CONFIG_DIRS": empty,
            "XDG_CONFIG_HOME": empty,
            "HOME": empty,
        }
        with patch.dict(os.environ, environment, clear=True):
            yield


@contextmanager
def offline_session() -> Iterator[PipelineSession]:
    """Yield a pipeline session whose uploads go to a bucket in this process."""
    with offline_environment(), mock_aws(), warnings.catch_warnings():
        # Imported in this environment, because the import reads settings and needs a region.
        from sagemaker.core import common_utils
        from sagemaker.core.telemetry import telemetry_logging
        from sagemaker.core.workflow.pipeline_context import PipelineSession

        warnings.simplefilter("ignore")
        # To opt out in the SDK's settings file makes building six times slower: each call validates it.
        telemetry = patch.object(telemetry_logging, "_send_telemetry_request")
        # Without the cache, it reads botocore's table of endpoints again for each image URI.
        resolver = patch.object(common_utils, "_botocore_resolver", cache(common_utils._botocore_resolver))
        with telemetry, resolver, _quiet():
            boto3.client("s3").create_bucket(Bucket=ARTIFACT_BUCKET)
            yield PipelineSession(boto_session=boto3.Session(), default_bucket=ARTIFACT_BUCKET)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the log messages of the SDK about capturing jobs instead of starting them."""
    disabled = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(disabled)


def uploaded_files() -> dict[str, bytes]:
    """Return the contents that the SDK uploaded in this offline session, by S3 URI."""
    s3 = boto3.client("s3")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=ARTIFACT_BUCKET)
    keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
    return {
        f"s3://{ARTIFACT_BUCKET}/{key}": s3.get_object(Bucket=ARTIFACT_BUCKET, Key=key)["Body"].read()
        for key in keys
    }
