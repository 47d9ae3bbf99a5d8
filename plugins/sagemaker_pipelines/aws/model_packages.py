"""Registered models: the packages of a model package group.

https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry.html
"""

from __future__ import annotations

from typing import Any

from sagemaker_pipelines.aws.client import SageMakerClient


def registered_model_package(client: SageMakerClient, pipeline_execution_arn: str) -> str | None:
    """Return the ARN of the model package that an execution registered; None if it registered none."""
    steps = client.list_steps(pipeline_execution_arn)
    return next((step.arn for step in steps if step.type == "RegisterModel" and step.arn), None)


def newest_approved_model_package(client: SageMakerClient, model_package_group_name: str) -> str | None:
    """Return the ARN of the group's newest Approved model package; None if there is none."""
    packages = client.pages(
        "list_model_packages",
        "ModelPackageSummaryList",
        ModelPackageGroupName=model_package_group_name,
        ModelApprovalStatus="Approved",
        SortBy="CreationTime",
        SortOrder="Descending",
    )
    completed = (package for package in packages if package["ModelPackageStatus"] == "Completed")
    return next((str(package["ModelPackageArn"]) for package in completed), None)


def approval_status(client: SageMakerClient, model_package_name: str) -> str:
    """Return a package's ModelApprovalStatus.

    :param model_package_name: its name or ARN.
    """
    answer: dict[str, Any] = client.sagemaker.describe_model_package(ModelPackageName=model_package_name)
    return str(answer.get("ModelApprovalStatus"))
