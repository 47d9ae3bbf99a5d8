"""The model registry: models, model packages, groups, approvals."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sagemaker_local_runtime.settings import Settings
from sagemaker_local_runtime.testing import LocalRuntime

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:3.2-0"


def error_of(call: Any, **request: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as raised:
        call(**request)
    error = raised.value.response["Error"]
    return error["Code"], error["Message"]


def specification(uri: str) -> dict[str, Any]:
    return {
        "Containers": [{"Image": IMAGE, "ModelDataUrl": uri}],
        "SupportedContentTypes": ["text/csv"],
        "SupportedResponseMIMETypes": ["text/csv"],
    }


@pytest.fixture
def sagemaker(local_runtime: LocalRuntime) -> Any:
    return local_runtime.client("sagemaker")


@pytest.fixture
def artifact(local_runtime: LocalRuntime) -> str:
    return local_runtime.put("model/model.tar.gz", b"model")


@pytest.fixture
def package(sagemaker: Any, artifact: str) -> str:
    sagemaker.create_model_package_group(ModelPackageGroupName="group")
    arn: str = sagemaker.create_model_package(
        ModelPackageGroupName="group", InferenceSpecification=specification(artifact)
    )["ModelPackageArn"]
    return arn


def test_a_model_is_described_listed_and_deleted(
    sagemaker: Any, local_runtime: LocalRuntime, artifact: str
) -> None:
    container = {"Image": IMAGE, "ModelDataUrl": artifact, "Environment": {"A": "1"}}
    arn = sagemaker.create_model(
        ModelName="m", PrimaryContainer=container, ExecutionRoleArn=local_runtime.role_arn
    )["ModelArn"]
    model = sagemaker.describe_model(ModelName="m")
    assert (model["ModelArn"], model["PrimaryContainer"]) == (arn, container)
    assert model["EnableNetworkIsolation"] is False
    assert [found["ModelName"] for found in sagemaker.list_models(NameContains="M")["Models"]] == ["m"]
    sagemaker.delete_model(ModelName="m")
    message = f'Could not find model "{arn}".'
    assert error_of(sagemaker.describe_model, ModelName="m") == ("ValidationException", message)
    assert error_of(sagemaker.delete_model, ModelName="m") == ("ValidationException", message)


@pytest.mark.parametrize(
    ("request_part", "message"),
    [
        ({}, "At least one container"),
        ({"PrimaryContainer": {"Environment": {"A": "1"}}}, "either Image or ModelPackageName"),
        ({"PrimaryContainer": {"Image": IMAGE}, "Containers": [{"Image": IMAGE}]}, "not both"),
        (
            {"PrimaryContainer": {"Image": IMAGE, "ModelDataUrl": "s3://nowhere/model.tar.gz"}},
            "Could not find model data at s3://nowhere/model.tar.gz",
        ),
        (
            {
                "PrimaryContainer": {
                    "Image": IMAGE,
                    "ModelDataUrl": "https://nowhere.s3.amazonaws.com/m.tar.gz",
                }
            },
            "Could not find model data at https://nowhere.s3.amazonaws.com/m.tar.gz",
        ),
        (
            {"PrimaryContainer": {"Image": IMAGE, "ModelDataUrl": "https://example.com/model.tar.gz"}},
            "Invalid S3 URI 'https://example.com/model.tar.gz'",
        ),
        ({"PrimaryContainer": {"ModelPackageName": "nope"}}, "model-package/nope does not exist"),
    ],
)
def test_a_model_that_could_not_run_is_refused(
    sagemaker: Any, local_runtime: LocalRuntime, request_part: dict[str, Any], message: str
) -> None:
    code, text = error_of(
        sagemaker.create_model, ModelName="m", ExecutionRoleArn=local_runtime.role_arn, **request_part
    )
    assert code == "ValidationException"
    assert message in text


def test_a_taken_model_name_is_refused(sagemaker: Any, local_runtime: LocalRuntime) -> None:
    request = {"ModelName": "m", "PrimaryContainer": {"Image": IMAGE}}
    arn = sagemaker.create_model(**request)["ModelArn"]
    assert error_of(sagemaker.create_model, **request)[1] == f'Cannot create already existing model "{arn}".'


def test_models_are_sorted_and_paged(sagemaker: Any) -> None:
    for name in ("b", "c", "a"):
        sagemaker.create_model(ModelName=name, PrimaryContainer={"Image": IMAGE})
        time.sleep(0.002)

    def names(**request: Any) -> list[str]:
        return [model["ModelName"] for model in sagemaker.list_models(**request)["Models"]]

    assert names() == ["a", "c", "b"], "the newest first"
    assert names(SortBy="Name", SortOrder="Ascending") == ["a", "b", "c"]
    pages = sagemaker.get_paginator("list_models").paginate(PaginationConfig={"PageSize": 2})
    assert [len(page["Models"]) for page in pages] == [2, 1]


def test_versions_count_up_and_are_not_given_twice(sagemaker: Any, package: str, artifact: str) -> None:
    assert package.endswith(":model-package/group/1")
    request = {"ModelPackageGroupName": "group", "InferenceSpecification": specification(artifact)}
    assert sagemaker.create_model_package(**request)["ModelPackageArn"].endswith("group/2")
    sagemaker.delete_model_package(ModelPackageName=package.replace("/1", "/2"))
    assert sagemaker.create_model_package(**request)["ModelPackageArn"].endswith("group/3")
    described = sagemaker.describe_model_package(ModelPackageName=package)
    assert described["ModelPackageVersion"] == 1
    assert described["ModelPackageGroupName"] == "group"
    assert described["ModelPackageName"] == "group/1"
    assert sagemaker.describe_model_package(ModelPackageName="group/1")["ModelPackageArn"] == package
    assert described["ModelPackageStatus"] == "Completed"
    assert described["ModelApprovalStatus"] == "PendingManualApproval"
    listed = sagemaker.list_model_packages(ModelPackageGroupName="group")["ModelPackageSummaryList"]
    assert [summary["ModelPackageVersion"] for summary in listed] == [1, 3]


def test_a_package_has_a_name_or_a_group(sagemaker: Any, package: str) -> None:
    create = sagemaker.create_model_package
    assert error_of(create) == ("ValidationException", "Missing ARN.")
    both = "Both ModelPackageName and ModelPackageGroupName are provided in the input. "
    assert error_of(create, ModelPackageName="p", ModelPackageGroupName="group") == (
        "ValidationException",
        f"{both}Cannot determine which one to use.",
    )


def test_the_same_client_token_makes_one_version(sagemaker: Any, package: str, artifact: str) -> None:
    request = {
        "ModelPackageGroupName": "group",
        "InferenceSpecification": specification(artifact),
        "ClientToken": "t" * 36,
    }
    first = sagemaker.create_model_package(**request)["ModelPackageArn"]
    assert sagemaker.create_model_package(**request)["ModelPackageArn"] == first


def test_a_group_is_created_once_and_deleted_empty(sagemaker: Any, package: str) -> None:
    code, message = error_of(sagemaker.create_model_package_group, ModelPackageGroupName="group")
    assert (code, "already exists" in message) == ("ValidationException", True)
    code, message = error_of(sagemaker.delete_model_package_group, ModelPackageGroupName="group")
    assert (code, "still has 1 model packages" in message) == ("ConflictException", True)
    sagemaker.delete_model_package(ModelPackageName=package)
    sagemaker.delete_model_package_group(ModelPackageGroupName="group")
    code, message = error_of(sagemaker.describe_model_package_group, ModelPackageGroupName="group")
    assert (code, "model-package-group/group does not exist" in message) == ("ValidationException", True)


def test_only_an_approved_package_becomes_a_model(
    sagemaker: Any, package: str, local_runtime: LocalRuntime, artifact: str
) -> None:
    request = {"ModelName": "m", "PrimaryContainer": {"ModelPackageName": package}}
    code, message = error_of(sagemaker.create_model, **request)
    assert code == "ValidationException"
    assert "ModelApprovalStatus PendingManualApproval" in message
    sagemaker.update_model_package(
        ModelPackageArn=package, ModelApprovalStatus="Approved", ApprovalDescription="good"
    )
    sagemaker.create_model(**request)
    assert sagemaker.describe_model(ModelName="m")["PrimaryContainer"] == {"ModelPackageName": package}
    assert local_runtime.runtime.models.containers("m")[0]["ModelDataUrl"] == artifact


def test_approval_and_metadata_are_updated(sagemaker: Any, package: str) -> None:
    code, message = error_of(
        sagemaker.update_model_package, ModelPackageArn=package, ModelApprovalStatus="Fine"
    )
    assert code == "ValidationException"
    assert "Member must satisfy enum value set: [Approved, Rejected, PendingManualApproval]" in message
    sagemaker.update_model_package(
        ModelPackageArn=package,
        ModelApprovalStatus="Rejected",
        ApprovalDescription="too old",
        CustomerMetadataProperties={"a": "1", "b": "2"},
    )
    sagemaker.update_model_package(
        ModelPackageArn=package,
        CustomerMetadataProperties={"b": "3"},
        CustomerMetadataPropertiesToRemove=["a"],
    )
    described = sagemaker.describe_model_package(ModelPackageName=package)
    assert described["ModelApprovalStatus"] == "Rejected"
    assert described["ApprovalDescription"] == "too old"
    assert described["CustomerMetadataProperties"] == {"b": "3"}
    assert described["LastModifiedTime"] >= described["CreationTime"]


def test_packages_are_filtered_by_approval_and_kind(sagemaker: Any, package: str, artifact: str) -> None:
    sagemaker.create_model_package(ModelPackageName="alone", InferenceSpecification=specification(artifact))

    def arns(**request: Any) -> list[str]:
        found = sagemaker.list_model_packages(**request)["ModelPackageSummaryList"]
        return [summary["ModelPackageArn"].rpartition("model-package/")[2] for summary in found]

    assert arns() == ["alone"], "without a group, the unversioned ones"
    assert arns(ModelPackageType="Both") == ["group/1", "alone"]
    assert arns(ModelPackageGroupName="group", ModelApprovalStatus="Approved") == []
    assert arns(ModelPackageGroupName="group", ModelApprovalStatus="PendingManualApproval") == ["group/1"]


def test_the_registry_survives_a_restart(tmp_path: Path) -> None:
    first = LocalRuntime(Settings(data_dir=tmp_path, port=0))
    uri = first.put("model.tar.gz", b"m")
    sagemaker = first.client("sagemaker")
    sagemaker.create_model_package_group(ModelPackageGroupName="group", Tags=[{"Key": "team", "Value": "ml"}])
    arn = sagemaker.create_model_package(
        ModelPackageGroupName="group",
        ModelApprovalStatus="Approved",
        InferenceSpecification=specification(uri),
    )["ModelPackageArn"]
    sagemaker.create_model(ModelName="m", PrimaryContainer={"ModelPackageName": arn})
    before = sagemaker.describe_model_package(ModelPackageName=arn)
    first.close()
    second = LocalRuntime(first.settings)
    try:
        sagemaker = second.client("sagemaker")
        after = sagemaker.describe_model_package(ModelPackageName=arn)
        before.pop("ResponseMetadata")
        after.pop("ResponseMetadata")
        assert after == before
        assert sagemaker.describe_model(ModelName="m")["PrimaryContainer"]["ModelPackageName"] == arn
        group = sagemaker.describe_model_package_group(ModelPackageGroupName="group")
        tags = sagemaker.list_tags(ResourceArn=group["ModelPackageGroupArn"])["Tags"]
        assert tags == [{"Key": "team", "Value": "ml"}]
    finally:
        second.close()


def test_the_same_client_token_updates_a_package_once(sagemaker: Any, package: str) -> None:
    for status in ("Approved", "Rejected"):
        sagemaker.update_model_package(
            ModelPackageArn=package, ModelApprovalStatus=status, ClientToken="one-decision"
        )
    described = sagemaker.describe_model_package(ModelPackageName=package)
    assert described["ModelApprovalStatus"] == "Approved"
