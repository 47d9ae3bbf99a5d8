"""Registered models: the packages of a model package group.

https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from sagemaker_pipelines.aws.client import SageMakerClient
from sagemaker_pipelines.aws.errors import is_missing
from sagemaker_pipelines.exceptions import ModelPackageError
from sagemaker_pipelines.states import APPROVED

#: The entry of a package's CustomerMetadataProperties that names the transform of its raw rows.
FEATURE_TRANSFORM = "feature_transform"
#: What the comparison pipeline takes for the URI of a transform if there is none.
NO_TRANSFORM = "none"


@dataclass(frozen=True, kw_only=True)
class PackagedModel:
    """What a model package says about its model.

    :param arn: ARN of the package.
    :param image: URI of its image.
    :param model_data_url: S3 URI of its artifact.
    :param transform_uri: S3 URI of the transform of raw rows that it records; None if it records none.
    """

    arn: str
    image: str
    model_data_url: str
    transform_uri: str | None = None

    def parameters(self, name: str) -> dict[str, str]:
        """Return the parameters that describe it to the comparison pipeline.

        :param name: ``Challenger`` or ``Champion``.
        """
        return {
            f"{name}PackageArn": self.arn,
            f"{name}Image": self.image,
            f"{name}ModelDataUrl": self.model_data_url,
            f"{name}Transform": self.transform_uri or NO_TRANSFORM,
        }


def registered_model_package(client: SageMakerClient, pipeline_execution_arn: str) -> str | None:
    """Return the ARN of the model package that an execution registered; None if it registered none."""
    return next(iter(registered_model_packages(client, pipeline_execution_arn)), None)


def registered_model_packages(client: SageMakerClient, pipeline_execution_arn: str) -> list[str]:
    """Return the ARNs of all model packages that an execution registered."""
    steps = client.list_steps(pipeline_execution_arn)
    return [step.arn for step in steps if step.type == "RegisterModel" and step.arn]


def newest_approved_model_package(client: SageMakerClient, model_package_group_name: str) -> str | None:
    """Return the ARN of the group's newest Approved model package; None if there is none.

    This is the champion of the group. A group that does not exist yet has none.
    """
    packages = client.pages(
        "list_model_packages",
        "ModelPackageSummaryList",
        ModelPackageGroupName=model_package_group_name,
        ModelApprovalStatus=APPROVED,
        SortBy="CreationTime",
        SortOrder="Descending",
    )
    completed = (package for package in packages if package["ModelPackageStatus"] == "Completed")
    try:
        return next((str(package["ModelPackageArn"]) for package in completed), None)
    except ClientError as error:
        if is_missing(error):
            return None
        raise


def approval_status(client: SageMakerClient, model_package_name: str) -> str:
    """Return a package's ModelApprovalStatus.

    :param model_package_name: its name or ARN.
    """
    answer: dict[str, Any] = client.sagemaker.describe_model_package(ModelPackageName=model_package_name)
    return str(answer.get("ModelApprovalStatus"))


def packaged_model(client: SageMakerClient, model_package_arn: str) -> PackagedModel:
    """Return the model of a package, which may await its approval.

    :param client: calls AWS.
    :param model_package_arn: the package.
    :raises ModelPackageError: the package is not one container with an image and an artifact, whose
        environment is empty; only such a model can be created from these two.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ModelPackageContainerDefinition.html
    """
    package = client.sagemaker.describe_model_package(ModelPackageName=model_package_arn)
    containers = package.get("InferenceSpecification", {}).get("Containers", [])
    container: dict[str, Any] = containers[0] if len(containers) == 1 else {}
    in_s3 = container.get("ModelDataUrl", "").startswith("s3://")
    if not (container.get("Image") and in_s3) or container.get("Environment"):
        found = [sorted(name for name, value in each.items() if value) for each in containers]
        raise ModelPackageError(
            f"The model of {model_package_arn} cannot be created for a comparison: its containers have "
            f"{found}; expected one container with Image, with ModelDataUrl as an S3 URI (s3://...), and "
            "without Environment. Register the model so, or leave out champion=."
        )
    return PackagedModel(
        arn=model_package_arn,
        image=container["Image"],
        model_data_url=container["ModelDataUrl"],
        transform_uri=package.get("CustomerMetadataProperties", {}).get(FEATURE_TRANSFORM),
    )
