"""The calls of the client."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.stub import Stubber

from sagemaker_pipelines.aws.client import SageMakerClient
from sagemaker_pipelines.aws.model_packages import (
    newest_approved_model_package,
    registered_model_package,
)
from sagemaker_pipelines.aws.objects import split_s3_uri
from sagemaker_pipelines.aws.versions import latest_version_id
from sagemaker_pipelines.exceptions import DefinitionError
from tests.unit.sagemaker_pipelines.samples import ARN, BUCKET

GROUP = "dev-gated"
PACKAGE = "arn:aws:sagemaker:us-east-1:123456789012:model-package/dev-gated"


@pytest.mark.parametrize(
    ("uri", "exists"),
    [
        (f"s3://{BUCKET}/data/train.csv", True),
        (f"s3://{BUCKET}/data/", True),
        (f"s3://{BUCKET}/data", True),
        (f"s3://{BUCKET}/dat", False),
        (f"s3://{BUCKET}/data/train", False),
        (f"s3://{BUCKET}/", True),
        (f"s3://{BUCKET}/other", False),
        ("s3://no-such-bucket/data", False),
    ],
)
def test_data_exist_at_a_uri_or_in_the_folder_of_its_name(
    client: SageMakerClient, uri: str, exists: bool
) -> None:
    client.s3.put_object(Bucket=BUCKET, Key="data/train.csv", Body=b"1")
    assert client.object_exists(uri) is exists


@pytest.mark.parametrize("uri", ["data/train.csv", "https://bucket/key", "s3:///key", ""])
def test_a_uri_that_is_not_s3s_is_refused(uri: str) -> None:
    with pytest.raises(ValueError, match="expected s3://<bucket>/<key>"):
        split_s3_uri(uri)


def test_a_key_may_hold_any_character() -> None:
    assert split_s3_uri("s3://bucket/a b/c#d?e=f") == ("bucket", "a b/c#d?e=f")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("ResourceNotFound", "Pipeline does not exist."),
        ("ValidationException", "Pipeline 'x' does not exist."),
    ],
)
def test_a_missing_pipeline_has_no_version_and_no_definition(
    client: SageMakerClient, sagemaker: Stubber, code: str, message: str
) -> None:
    sagemaker.add_client_error("list_pipeline_versions", code, message)
    sagemaker.add_client_error("describe_pipeline", code, message)
    assert latest_version_id(client, "x") is None
    with pytest.raises(DefinitionError, match=r"no pipeline 'x'.*Upsert it first"):
        client.deployed_definition("x")


def package(number: int, status: str = "Completed") -> dict[str, Any]:
    return {"ModelPackageArn": f"{PACKAGE}/{number}", "ModelPackageStatus": status, "CreationTime": 0}


def test_the_newest_approved_model_package_is_the_first_that_is_complete(
    client: SageMakerClient, sagemaker: Stubber
) -> None:
    sagemaker.add_response(
        "list_model_packages",
        {"ModelPackageSummaryList": [package(3, "Failed"), package(2), package(1)]},
        {
            "ModelPackageGroupName": GROUP,
            "ModelApprovalStatus": "Approved",
            "SortBy": "CreationTime",
            "SortOrder": "Descending",
            "MaxResults": 100,
        },
    )
    assert newest_approved_model_package(client, GROUP) == f"{PACKAGE}/2"


def test_a_group_without_an_approved_model_package_has_none(
    client: SageMakerClient, sagemaker: Stubber
) -> None:
    sagemaker.add_response("list_model_packages", {"ModelPackageSummaryList": []})
    assert newest_approved_model_package(client, GROUP) is None


@pytest.mark.parametrize(
    ("metadata", "arn"),
    [
        ({"RegisterModel": {"Arn": f"{PACKAGE}/1"}}, f"{PACKAGE}/1"),
        ({"Model": {"Arn": "model"}}, None),
        ({}, None),
    ],
)
def test_the_model_package_of_an_execution_is_that_of_its_register_step(
    client: SageMakerClient, sagemaker: Stubber, metadata: dict[str, Any], arn: str | None
) -> None:
    step = {"StepName": "Register", "StepStatus": "Succeeded", "Metadata": metadata}
    sagemaker.add_response("list_pipeline_execution_steps", {"PipelineExecutionSteps": [step]})
    assert registered_model_package(client, ARN) == arn
