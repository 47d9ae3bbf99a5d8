"""The actions on model package groups and model packages."""

from __future__ import annotations

from typing import Any

from sagemaker_local_runtime.api.paging import page, pick, select
from sagemaker_local_runtime.api.registry import Request, Response, action
from sagemaker_local_runtime.exceptions import AwsError
from sagemaker_local_runtime.runtime import Runtime

_SUMMARY = (
    "ModelPackageName",
    "ModelPackageGroupName",
    "ModelPackageVersion",
    "ModelPackageArn",
    "ModelPackageDescription",
    "CreationTime",
    "ModelPackageStatus",
    "ModelApprovalStatus",
    "ModelLifeCycle",
)
_GROUP_SUMMARY = (
    "ModelPackageGroupName",
    "ModelPackageGroupArn",
    "ModelPackageGroupDescription",
    "CreationTime",
    "ModelPackageGroupStatus",
)


@action("CreateModelPackageGroup")
def create_model_package_group(runtime: Runtime, request: Request) -> Response:
    """Create a group."""
    return {"ModelPackageGroupArn": runtime.models.create_model_package_group(request)}


@action("DescribeModelPackageGroup")
def describe_model_package_group(runtime: Runtime, request: Request) -> Response:
    """Describe a group."""
    return runtime.models.describe_model_package_group(request["ModelPackageGroupName"])


@action("DeleteModelPackageGroup")
def delete_model_package_group(runtime: Runtime, request: Request) -> Response:
    """Delete an empty group."""
    runtime.models.delete_model_package_group(request["ModelPackageGroupName"])
    return {}


@action("ListModelPackageGroups")
def list_model_package_groups(runtime: Runtime, request: Request) -> Response:
    """List groups, oldest first by default."""
    groups = runtime.models.list_model_package_groups()
    items = select(groups, request, name="ModelPackageGroupName", order="Ascending")
    found, following = page(items, request, key="ModelPackageGroupArn")
    return {"ModelPackageGroupSummaryList": [pick(item, _GROUP_SUMMARY) for item in found], **following}


@action("CreateModelPackage")
def create_model_package(runtime: Runtime, request: Request) -> Response:
    """Create a package or the next version of a group."""
    return {"ModelPackageArn": runtime.models.create_model_package(request)}


@action("DescribeModelPackage")
def describe_model_package(runtime: Runtime, request: Request) -> Response:
    """Describe a package."""
    package = runtime.models.describe_model_package(request["ModelPackageName"])
    if "ModelPackageGroupName" not in package:
        return package
    # https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ModelPackage.html
    name = f"{package['ModelPackageGroupName']}/{package['ModelPackageVersion']}"
    return {"ModelPackageName": name, **package}


@action("BatchDescribeModelPackage")
def batch_describe_model_package(runtime: Runtime, request: Request) -> Response:
    """Describe several packages; missing ones are listed with their error."""
    summaries: dict[str, Any] = {}
    errors: dict[str, Any] = {}
    fields = (*_SUMMARY, "InferenceSpecification", "ModelPackageRegistrationType")
    for arn in request["ModelPackageArnList"]:
        try:
            summaries[arn] = pick(runtime.models.describe_model_package(arn), fields)
        except AwsError as error:
            errors[arn] = {"ErrorCode": error.code, "ErrorResponse": error.message}
    return {"ModelPackageSummaries": summaries, "BatchDescribeModelPackageErrorMap": errors}


@action("UpdateModelPackage")
def update_model_package(runtime: Runtime, request: Request) -> Response:
    """Approve, reject or annotate a package."""
    return {"ModelPackageArn": runtime.models.update_model_package(request)}


@action("DeleteModelPackage")
def delete_model_package(runtime: Runtime, request: Request) -> Response:
    """Delete a package."""
    runtime.models.delete_model_package(request["ModelPackageName"])
    return {}


@action("ListModelPackages")
def list_model_packages(runtime: Runtime, request: Request) -> Response:
    """List packages, oldest first by default; without a group, unversioned ones by default."""
    group = request.get("ModelPackageGroupName")
    wanted = request.get("ModelPackageType") or ("Versioned" if group else "Unversioned")
    approval = request.get("ModelApprovalStatus")
    packages = [
        package
        for package in runtime.models.list_model_packages(group)
        if wanted in ("Both", "Versioned" if "ModelPackageGroupName" in package else "Unversioned")
        and approval in (None, package.get("ModelApprovalStatus"))
    ]
    name = "ModelPackageGroupName" if group else "ModelPackageName"
    items = select(packages, request, name=name, order="Ascending")
    found, following = page(items, request, key="ModelPackageArn")
    return {"ModelPackageSummaryList": [pick(item, _SUMMARY) for item in found], **following}
