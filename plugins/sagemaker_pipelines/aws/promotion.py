"""Promote a definition and the model package that it registered to another environment.

Both environments deploy the same compiled definition, each filled with its own settings. So "the same
definition" means: what the source environment has executed is this definition, filled with its settings.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sagemaker_pipelines.aws.artifacts import Artifact, artifacts_at, copy_artifact
from sagemaker_pipelines.aws.champion import ModelPackage, described_model_package, read_model_package
from sagemaker_pipelines.aws.client import SageMakerClient
from sagemaker_pipelines.aws.deployable import required
from sagemaker_pipelines.aws.package_request import package_request, recorded_etags, s3_uris
from sagemaker_pipelines.aws.promoted import (
    PROMOTED_FROM,
    approve_promoted,
    check_original,
    may_be_approved,
    promoted_model_package,
    register_model_package,
)
from sagemaker_pipelines.aws.proof import find_proof
from sagemaker_pipelines.aws.upsert import PipelineUpsert
from sagemaker_pipelines.aws.versions import latest_version_id, pinned_version
from sagemaker_pipelines.definition import Envelope
from sagemaker_pipelines.exceptions import ParameterError, PromotionError
from sagemaker_pipelines.states import APPROVED, FAILED, PENDING, REJECTED

APPROVAL_STATUSES = (PENDING, APPROVED)
#: The metadata of a promoted package that says what has produced the original.
PROMOTED_EXECUTION, PROMOTED_DEFINITION = "promoted_execution", "promoted_definition_hash"


@dataclass(frozen=True, kw_only=True)
class PromotionPlan:
    """What a promotion would do.

    :param source_execution_arn: the execution that proves the definition, and registered the package.
    :param source_definition_hash: the hash of what it executed.
    :param source_model_package_arn: the package; None if the definition registers none.
    :param pipeline_name: the pipeline in the target environment.
    :param pipeline: ``create``, ``update`` or ``unchanged``.
    :param model_package_group_name: the group in the target environment.
    :param model_package_arn: the package in the target, if it was promoted before.
    :param approval_status: the ModelApprovalStatus that was asked for.
    :param approves: whether the package is approved, with a record: nobody has decided about it before.
    :param artifacts: the objects that the package names.
    :param request: the arguments of CreateModelPackage.
    """

    source_execution_arn: str
    source_definition_hash: str
    pipeline_name: str
    pipeline: str
    source_model_package_arn: str | None = None
    model_package_group_name: str | None = None
    model_package_arn: str | None = None
    approval_status: str | None = None
    approves: bool = False
    artifacts: tuple[Artifact, ...] = ()
    request: Mapping[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON types, without the request."""
        own = {name: value for name, value in vars(self).items() if name != "request"}
        return {**own, "artifacts": [asdict(artifact) for artifact in self.artifacts]}


class Promotion:
    """One promotion.

    :param source: the client of the environment that has executed the definition.
    :param target: the client of the environment that gets it.
    :param envelope: the definition.
    :param pipeline_name: the pipeline's name in the source; None means the definition's with the prefix. In
        the target, its prefix is that of the target.
    :param model_package_arn: the package; None means that of the newest execution of this definition, or the
        newest Approved one if ``approval_status`` is ``Approved``.
    :param approval_status: the ModelApprovalStatus that the package gets; one about which somebody has
        decided in the target keeps its own. Only an Approved package can become Approved.
    :param decided_by: who approves it, if it is approved.
    :param dag_id: the DAG of the run that promotes; None outside of Airflow.
    :param run_id: the run that promotes; None outside of Airflow.
    :param airflow_id: see :class:`~sagemaker_pipelines.aws.upsert.PipelineUpsert`.
    :raises ParameterError: the status is not one of ``APPROVAL_STATUSES``, or both are the same environment.
    """

    def __init__(
        self,
        source: SageMakerClient,
        target: SageMakerClient,
        envelope: Envelope,
        *,
        pipeline_name: str | None = None,
        model_package_arn: str | None = None,
        approval_status: str = PENDING,
        decided_by: str = "a promotion",
        dag_id: str | None = None,
        run_id: str | None = None,
        airflow_id: str | None = None,
    ) -> None:
        if approval_status not in APPROVAL_STATUSES:
            raise ParameterError(
                f"approval_status is {approval_status!r}; expected one of {', '.join(APPROVAL_STATUSES)}. "
                "Correct it."
            )
        self.source, self.target, self.envelope = source, target, envelope
        self.model_package_arn = model_package_arn
        self.approval_status = approval_status
        self._decided = {"decided_by": decided_by, "dag_id": dag_id, "run_id": run_id}
        self._deployed = PipelineUpsert(source, envelope, pipeline_name=pipeline_name, airflow_id=airflow_id)
        name = self._in_target(pipeline_name) if pipeline_name else None
        self._upsert = PipelineUpsert(target, envelope, pipeline_name=name, airflow_id=airflow_id)
        if _surroundings(source) == _surroundings(target):
            raise ParameterError(
                "The source and the target of the promotion are the same environment: "
                f"{self._upsert.pipeline_name} in {target.region}, with the same endpoint and settings. "
                "Expected two environments. Give the connection of the other one."
            )

    def plan(self) -> PromotionPlan:
        """Return what :meth:`run` would do; this only reads.

        :raises PromotionError: the source has no succeeded execution of this definition, or its package
            cannot be promoted.
        :raises ModelPackageError: the package is gone, or cannot be approved in the target.
        """
        approved = self.approval_status == APPROVED
        execution, package = find_proof(self._deployed, self.model_package_arn, approved=approved)
        common: dict[str, Any] = {
            "source_execution_arn": execution,
            "source_definition_hash": self._deployed.hash,
            "pipeline_name": self._upsert.pipeline_name,
            "pipeline": self._pipeline_change(),
        }
        if package is None:
            return PromotionPlan(**common)
        described = self._described(package)
        if approved:
            check_original(ModelPackage.of(described))
        group = self._in_target(ModelPackage.of(described).group)
        etags = recorded_etags(described)
        places = {uri: self._place(uri, package) for uri in sorted(s3_uris(described))}
        artifacts = [
            artifact
            for uri, place in places.items()
            for artifact in artifacts_at(self.source, self.target, uri, place, etag=etags.get(uri))
        ]
        promoted = promoted_model_package(self.target, group, package)
        return PromotionPlan(
            **common,
            source_model_package_arn=package,
            model_package_group_name=group,
            model_package_arn=promoted.arn if promoted else None,
            approval_status=self.approval_status,
            approves=approved and may_be_approved(self.target, promoted),
            artifacts=tuple(artifacts),
            request=self._request(described, {**places, **self._images()}, group, execution),
        )

    def run(self, plan: PromotionPlan | None = None) -> dict[str, Any]:
        """Deploy the definition, copy the artifacts and register the package; what exists stays as it is.

        :param plan: what :meth:`plan` returned; None plans now.
        :return: ``{"pipeline_name", "pipeline_version_id", "model_package_arn", "changed", "copied",
            "source_execution_arn", "source_model_package_arn", "source_definition_hash"}``.
        :raises PromotionError: see :meth:`plan`; or an object could not be copied exactly.
        """
        plan = plan or self.plan()
        upserted = self._upsert.run()
        copied = [artifact for artifact in plan.artifacts if not artifact.is_stored]
        for artifact in copied:
            sha256 = copy_artifact(self.source, self.target, artifact)
            self.target.log.info(
                "Copied %s to %s (SHA-256 %s)", artifact.source_uri, artifact.target_uri, sha256
            )
        package, registers = plan.model_package_arn, False
        if package is None and plan.request is not None:
            package, registers = register_model_package(self.target, plan.request), True
        approves = self._approve(plan, package)
        return {
            "pipeline_name": upserted.pipeline_name,
            "pipeline_version_id": upserted.pipeline_version_id,
            "model_package_arn": package,
            "changed": bool(upserted.changed or copied or registers or approves),
            "copied": [artifact.target_uri for artifact in copied],
            "source_execution_arn": plan.source_execution_arn,
            "source_model_package_arn": plan.source_model_package_arn,
            "source_definition_hash": plan.source_definition_hash,
        }

    def _pipeline_change(self) -> str:
        name = self._upsert.pipeline_name
        version = latest_version_id(self.target, name)
        if version is None:
            return "create"
        deployed = pinned_version(self.target, name, version).definition_hash
        return "unchanged" if deployed == self._upsert.hash else "update"

    def _described(self, package: str) -> dict[str, Any]:
        described = described_model_package(self.source, package)
        for name, refused in {"ModelPackageStatus": {FAILED}, "ModelApprovalStatus": {REJECTED}}.items():
            if described.get(name) in refused:
                raise PromotionError(
                    f"{package} has the {name} {described[name]}; expected one that may be used. Promote "
                    "another model package."
                )
        return described

    def _in_target(self, name: str) -> str:
        prefix = self.source.settings.name_prefix
        return self.target.settings.name_prefix + name.removeprefix(prefix)

    def _place(self, uri: str, package: str) -> str:
        """Return where the target keeps an object; for the same package it is always the same place."""
        settings = self.target.settings
        bucket = required(settings.artifact_bucket, "artifact_bucket")
        digest = hashlib.sha256(f"{package} {uri}".encode()).hexdigest()[:16]
        name = uri.rstrip("/").rpartition("/")[2]
        slash = "/" if uri.endswith("/") else ""
        return f"s3://{bucket}/{settings.name_prefix}{self.envelope.name}/promoted/{digest}/{name}{slash}"

    def _request(
        self, described: Mapping[str, Any], replacements: Mapping[str, str], group: str, execution: str
    ) -> dict[str, Any]:
        package = described["ModelPackageArn"]
        # Two promotions at the same moment, neither of which sees the other's package, send the same token.
        token = hashlib.sha256(f"{package} {group}".encode()).hexdigest()
        origin = {
            PROMOTED_FROM: package,
            PROMOTED_EXECUTION: execution,
            PROMOTED_DEFINITION: self._deployed.hash,
        }
        return {
            **package_request(self.target.sagemaker, described, replacements, metadata=origin),
            "ModelPackageGroupName": group,
            "ModelApprovalStatus": PENDING,
            "ClientToken": token[:36],
        }

    def _images(self) -> dict[str, str]:
        """Return the image of the target's region by that of the source's."""
        return {
            self.envelope.image(name, self.source.region): self.envelope.image(name, self.target.region)
            for name in self.envelope.images
        }

    def _approve(self, plan: PromotionPlan, package: str | None) -> bool:
        """Approve the package that is registered, if the plan says so; after a crash, it is still pending."""
        original = plan.source_model_package_arn
        if not plan.approves or package is None or original is None:
            return False
        found = read_model_package(self.source, original)
        return approve_promoted(self.target, package, found, **self._decided)


def _surroundings(client: SageMakerClient) -> tuple[Any, ...]:
    return client.settings, client.region, client.sagemaker.meta.endpoint_url
