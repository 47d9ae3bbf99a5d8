"""The approval of model packages: what the registry says, and which package is scored with.

The champion of a model package group is its newest Approved package.

https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry-approve.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from botocore.exceptions import ClientError

from sagemaker_pipelines.aws.client import SageMakerClient
from sagemaker_pipelines.aws.errors import is_missing
from sagemaker_pipelines.aws.model_packages import newest_approved_model_package
from sagemaker_pipelines.exceptions import ModelPackageError, SupersededError
from sagemaker_pipelines.states import APPROVED

# What `Decision.summary` ends with.
_DECISION = re.compile(r"; record (s3://\S+); decision ([0-9a-f]{32})\Z")


@dataclass(frozen=True, kw_only=True)
class ModelPackage:
    """A version of a model package group, as the registry has it.

    :param arn: its ARN.
    :param group: the name of its group.
    :param version: its number in the group.
    :param status: its ModelApprovalStatus.
    :param description: its ApprovalDescription; empty if there is none.
    """

    arn: str
    group: str
    version: int
    status: str
    description: str = ""

    @classmethod
    def of(cls, described: Mapping[str, Any]) -> Self:
        """Return what a description says.

        :param described: DescribeModelPackage's answer.
        :raises ModelPackageError: the package belongs to no group and therefore cannot be approved.
        """
        if "ModelPackageGroupName" not in described:
            raise ModelPackageError(
                f"The model package {described['ModelPackageArn']} belongs to no model package group; "
                "expected a version of a group, because only these can be approved. Register the model in a "
                "group."
            )
        return cls(
            arn=described["ModelPackageArn"],
            group=described["ModelPackageGroupName"],
            version=described["ModelPackageVersion"],
            status=described["ModelApprovalStatus"],
            description=described.get("ApprovalDescription", ""),
        )

    @property
    def decision_id(self) -> str | None:
        """The id of the last decision that was recorded; None if another tool changed the package."""
        found = _DECISION.search(self.description)
        return found[2] if found else None

    @property
    def record_uri(self) -> str | None:
        """The S3 URI of the last decision that was recorded; None if another tool changed the package."""
        found = _DECISION.search(self.description)
        return found[1] if found else None

    def __str__(self) -> str:
        return f"{self.group}/{self.version}"


def read_model_package(client: SageMakerClient, model_package_arn: str) -> ModelPackage:
    """Return a model package of a group.

    :raises ModelPackageError: it does not exist, or belongs to no group and therefore cannot be approved.
    """
    return ModelPackage.of(described_model_package(client, model_package_arn))


def described_model_package(client: SageMakerClient, model_package_arn: str) -> dict[str, Any]:
    """Return the registry's description of a model package.

    :raises ModelPackageError: it does not exist.
    """
    try:
        found: dict[str, Any] = client.sagemaker.describe_model_package(ModelPackageName=model_package_arn)
    except ClientError as error:
        if not is_missing(error):
            raise
        raise ModelPackageError(
            f"The model package {model_package_arn} does not exist; expected one that is still registered. "
            "Somebody may have deleted it: `sagemaker-pipelines models` lists the others."
        ) from error
    return found


def check_is_newer(client: SageMakerClient, package: ModelPackage, champion_arn: str) -> None:
    """Refuse a package that would not become the champion if it were approved, because it is the older one.

    :param client: calls AWS.
    :param package: the package.
    :param champion_arn: the champion of its group.
    :raises SupersededError: the champion is newer.
    """
    champion = read_model_package(client, champion_arn)
    if champion.version > package.version:
        raise SupersededError(
            f"{package.arn} cannot be approved: the champion is {champion.arn} now, which is newer and would "
            "stay the champion. Nothing was written. Reject this one, or first reject the champion with "
            f"`sagemaker-pipelines reject {champion.arn} --replace`, and then decide again: clear the "
            "comparison, or the task that approves if there is none."
        )


@dataclass(frozen=True)
class ChosenModelPackage:
    """The model package to score with.

    :param arn: its ARN.
    :param reason: why it was chosen, as a sentence.
    """

    arn: str
    reason: str


def model_package_to_score_with(
    client: SageMakerClient, model_package_group_name: str, model_package_arn: str | None = None
) -> ChosenModelPackage:
    """Return the model package that was asked for, or else the champion: the newest Approved one of a group.

    :param client: calls AWS.
    :param model_package_group_name: the group.
    :param model_package_arn: the package that was asked for; None or empty means the champion.
    :raises ModelPackageError: that package is not Approved or does not exist, or the group has no champion.
    """
    champion = newest_approved_model_package(client, model_package_group_name)
    arn = model_package_arn or champion
    if arn is None:
        raise ModelPackageError(
            f"The group {model_package_group_name} has no Approved model package; expected a champion to "
            "score with. Approve one with `sagemaker-pipelines approve`, or name a package."
        )
    package = read_model_package(client, arn)
    if package.status != APPROVED:
        raise ModelPackageError(
            f"{arn} is {package.status} ({package.description or 'without a description'}); expected "
            f"{APPROVED}. Nothing is scored with it: approve it, or leave it out to score with the champion, "
            f"which is {champion or 'none at present'}."
        )
    why = f"the champion (newest Approved package) of {model_package_group_name}"
    if model_package_arn:
        why = (
            f"which was asked for; it is {why}"
            if champion == arn
            else f"which was asked for instead of the champion {champion}"
        )
    return ChosenModelPackage(arn, f"Score with {arn}, {why}. {package.description}".strip())
