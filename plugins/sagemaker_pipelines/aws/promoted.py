"""The model packages of an environment that promotions have registered: find, register and approve them.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModelPackage.html
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from sagemaker_pipelines.aws.champion import ModelPackage, check_is_newer, read_model_package
from sagemaker_pipelines.aws.client import SageMakerClient
from sagemaker_pipelines.aws.decisions import Decision, record_decision
from sagemaker_pipelines.aws.errors import is_missing
from sagemaker_pipelines.aws.evidence import Evidence
from sagemaker_pipelines.aws.model_packages import newest_approved_model_package
from sagemaker_pipelines.aws.upsert import as_tags
from sagemaker_pipelines.exceptions import ModelPackageError
from sagemaker_pipelines.states import APPROVED, PENDING

#: The metadata of a promoted package that names the original.
PROMOTED_FROM = "promoted_from"
# The pauses between the looks for a package that has just been registered, in seconds.
PAUSES = (0.5, 1.0, 2.0)


def promoted_model_package(client: SageMakerClient, group: str, original: str) -> ModelPackage | None:
    """Return the package that was promoted from an original of another environment.

    :param client: calls AWS.
    :param group: the name of the group that would have it.
    :param original: the ARN of the original.
    :return: None if there is none, or no such group.
    """
    try:
        packages = list(
            client.pages("list_model_packages", "ModelPackageSummaryList", ModelPackageGroupName=group)
        )
    except ClientError as error:
        if is_missing(error):
            return None
        raise
    for summary in packages:
        described = client.sagemaker.describe_model_package(ModelPackageName=summary["ModelPackageArn"])
        if described.get("CustomerMetadataProperties", {}).get(PROMOTED_FROM) == original:
            return ModelPackage.of(described)
    return None


def register_model_package(client: SageMakerClient, request: Mapping[str, Any]) -> str:
    """Register a package, in a group that is created if it does not exist, and return its ARN.

    :param client: calls AWS.
    :param request: the arguments of CreateModelPackage.
    """
    sagemaker, group = client.sagemaker, request["ModelPackageGroupName"]
    try:
        sagemaker.describe_model_package_group(ModelPackageGroupName=group)
    except ClientError as error:
        if not is_missing(error):
            raise
        tags = as_tags(client.settings.tags)
        sagemaker.create_model_package_group(ModelPackageGroupName=group, Tags=tags)
    arn = str(sagemaker.create_model_package(**request)["ModelPackageArn"])
    while not _exists(client, arn):
        # The token still stands for a package that somebody has deleted.
        token = hashlib.sha256(f"{request['ClientToken']} {arn}".encode()).hexdigest()
        request = {**request, "ClientToken": token[:36]}
        arn = str(sagemaker.create_model_package(**request)["ModelPackageArn"])
    client.log.info("Registered %s as %s", arn, request["ModelApprovalStatus"])
    return arn


def may_be_approved(client: SageMakerClient, promoted: ModelPackage | None) -> bool:
    """Return whether nobody has decided about a promoted package yet.

    :param client: calls AWS.
    :param promoted: the package; None if it is still to be registered.
    :raises SupersededError: the champion is newer, so that its approval would change nothing.
    """
    if promoted is not None and promoted.status == PENDING:
        champion = newest_approved_model_package(client, promoted.group)
        if champion is not None:
            check_is_newer(client, promoted, champion)
    return promoted is None or promoted.status == PENDING


def check_original(original: ModelPackage) -> None:
    """Refuse to approve a promoted package whose original nobody has approved.

    :raises ModelPackageError: the original is not Approved.
    """
    if original.status != APPROVED:
        raise ModelPackageError(
            f"{original.arn} is {original.status}; expected {APPROVED}, because it should become {APPROVED} "
            f"in the target. Approve it first with `sagemaker-pipelines approve {original.arn}`, or promote "
            f"it as {PENDING}."
        )


def _exists(client: SageMakerClient, model_package_arn: str) -> bool:
    """Return whether a package exists; a new one may not be known everywhere yet."""
    for pause in (*PAUSES, None):
        try:
            client.sagemaker.describe_model_package(ModelPackageName=model_package_arn)
        except ClientError as error:
            if not is_missing(error):
                raise
            if pause is not None:
                time.sleep(pause)
        else:
            return True
    return False


def approve_promoted(
    client: SageMakerClient, model_package_arn: str, original: ModelPackage, **decided: Any
) -> bool:
    """Approve a promoted package, with a record that has the original's own decision as its reason.

    :param client: calls AWS.
    :param model_package_arn: the package.
    :param original: the package of the other environment.
    :param decided: ``decided_by``, ``dag_id`` and ``run_id`` of the decision.
    :return: False if it was Approved already.
    :raises ModelPackageError: somebody has rejected it, or the original is not Approved any more.
    """
    check_original(original)
    reason = f"promoted from {original.arn}, which is {original.status}"
    group = read_model_package(client, model_package_arn).group
    champion = newest_approved_model_package(client, group)
    decision = Decision(
        approved=True,
        evidence=Evidence(model_package_arn=model_package_arn, champion_arn=champion),
        reason=f"{reason}: {original.description}" if original.description else reason,
        **decided,
    )
    return record_decision(client, decision)
