"""Record a decision about a model package: in the model registry, and as an object in S3.

The registry decides. The object is written first, so that the registry never names an object that does not
exist; without an entry in the registry, an object is only an attempt.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateModelPackage.html
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sagemaker_pipelines.aws.champion import ModelPackage, check_is_newer, read_model_package
from sagemaker_pipelines.aws.client import SageMakerClient
from sagemaker_pipelines.aws.deployable import required
from sagemaker_pipelines.aws.evidence import Evidence
from sagemaker_pipelines.aws.model_packages import newest_approved_model_package
from sagemaker_pipelines.exceptions import ModelPackageError, SupersededError
from sagemaker_pipelines.messages import cut
from sagemaker_pipelines.states import APPROVED, PENDING, REJECTED

VERSION = 1
# The limit of ApprovalDescription, which has to be one line.
MAX_SUMMARY = 1024
MAX_REASON = 4096
_MAX_WHO = 128


def new_decision_id() -> str:
    """Return a random id; SageMaker accepts it as a ClientToken."""
    return secrets.token_hex(16)


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Somebody's or a rule's word on a model package.

    :param approved: whether the package is Approved or Rejected.
    :param decided_by: who decided.
    :param evidence: what the decision is based on.
    :param reason: why, as they wrote it.
    :param decided_at: when, ISO 8601.
    :param dag_id: the DAG of the run that asked; None for a decision in a shell.
    :param run_id: the run that asked; None for a decision in a shell.
    :param decision_id: the id, from :func:`new_decision_id`; recording the same id again changes nothing.
    """

    approved: bool
    decided_by: str
    evidence: Evidence
    reason: str = ""
    decided_at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    dag_id: str | None = None
    run_id: str | None = None
    decision_id: str = field(default_factory=new_decision_id)

    @property
    def status(self) -> str:
        """The ModelApprovalStatus."""
        return APPROVED if self.approved else REJECTED

    def as_document(self) -> dict[str, Any]:
        """Return the whole record as JSON types."""
        return {
            "version": VERSION,
            "decision_id": self.decision_id,
            "status": self.status,
            "decided_by": self.decided_by,
            "decided_at": self.decided_at,
            "reason": cut(self.reason, MAX_REASON),
            "dag_id": self.dag_id,
            "run_id": self.run_id,
            **self.evidence.as_document(),
        }

    def summary(self, record_uri: str) -> str:
        """Return one line of at most ``MAX_SUMMARY`` characters, which ends with the decision's id.

        :param record_uri: the S3 URI of the whole record; S3 and SageMaker limit its parts to 300 characters.
        """
        head = f"{self.status} by {cut(_one_line(self.decided_by), _MAX_WHO)} at {self.decided_at}"
        tail = f"; record {record_uri}; decision {self.decision_id}"
        run = f"run {self.dag_id} {self.run_id}" if self.run_id else ""
        told = [self.evidence.in_one_line(), self.reason and f"reason: {self.reason}", run]
        text = _one_line("; ".join(part for part in told if part))
        room = MAX_SUMMARY - len(f"{head}: {tail}")
        return f"{head}: {cut(text, room)}{tail}" if text else head + tail


def record_decision(client: SageMakerClient, decision: Decision, *, replace: bool = False) -> bool:
    """Write a decision to the registry, once for each decision id.

    A crash at any point is repaired by calling this again with the same decision. UpdateModelPackage cannot
    make a change conditional: two different decisions within the same moment can both pass the checks, and
    the later one is what the registry has.

    :param client: calls AWS.
    :param decision: the decision.
    :param replace: whether it may replace an earlier decision.
    :return: False if the registry says so already: an earlier call or another tool has written it.
    :raises SupersededError: the champion is not the one that the package was compared with, or is newer than
        the package, which would not replace it.
    :raises ModelPackageError: the package does not exist, or somebody has decided otherwise.
    :raises SettingsError: the environment has no artifact bucket for the record.
    """
    package = read_model_package(client, decision.evidence.model_package_arn)
    if package.status == decision.status and (not replace or package.decision_id == decision.decision_id):
        client.log.info("%s is %s already: %s", package.arn, package.status, package.description)
        return False
    if package.status != PENDING and not replace:
        raise decided_otherwise(package, decision.status)
    if decision.approved:
        _check_champion(client, decision, package)
    uri = record_uri(client, package, decision.decision_id)
    client.write_json(uri, client.account.masked(decision.as_document()))
    client.sagemaker.update_model_package(
        ModelPackageArn=package.arn,
        ModelApprovalStatus=decision.status,
        ApprovalDescription=decision.summary(uri),
        ClientToken=decision.decision_id,
    )
    client.log.info("%s is %s now; the record is %s", package.arn, decision.status, uri)
    return True


def record_uri(client: SageMakerClient, package: ModelPackage, decision_id: str) -> str:
    """Return the S3 URI of a decision's record.

    :raises SettingsError: the environment has no artifact bucket.
    """
    settings = client.settings
    bucket = required(settings.artifact_bucket, "artifact_bucket")
    return f"s3://{bucket}/{settings.name_prefix}decisions/{package}/{decision_id}.json"


def decided_otherwise(package: ModelPackage, wanted: str) -> ModelPackageError:
    """Return the error for a package about which somebody has decided already.

    :param package: the package.
    :param wanted: the status that it should get.
    """
    return ModelPackageError(
        f"{package.arn} cannot become {wanted}: it is {package.status} "
        f"({package.description or 'without a description'}); expected {PENDING}. Nothing was written. To "
        f"replace that decision, use `sagemaker-pipelines {'approve' if wanted == APPROVED else 'reject'} "
        f"{package.arn} --replace`."
    )


def _check_champion(client: SageMakerClient, decision: Decision, package: ModelPackage) -> None:
    compared, champion = decision.evidence.champion_arn, newest_approved_model_package(client, package.group)
    if champion is not None and champion != package.arn:
        check_is_newer(client, package, champion)
    if champion not in (compared, package.arn):
        raise SupersededError(
            f"{package.arn} cannot be approved: the champion is {champion or 'none'} now, but the decision "
            f"is based on a comparison with {compared or 'none'}. Nothing was written. Clear the comparison "
            "with its downstream tasks (without a comparison, the approval), to decide by the new numbers."
        )


def _one_line(text: str) -> str:
    return " ".join(text.split())
