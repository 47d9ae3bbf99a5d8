"""The model registry: model package groups and model packages."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from sagemaker_local_runtime.account import Account
from sagemaker_local_runtime.exceptions import ConflictError, ValidationError
from sagemaker_local_runtime.services.events import EventPublisher
from sagemaker_local_runtime.services.lineage import Lineage
from sagemaker_local_runtime.services.tags import delete_tags, put_tags
from sagemaker_local_runtime.store import Document, public

GROUP = "model-package-group"
PACKAGE = "model-package"
_TOKEN = "model-package-token"  # noqa: S105 - the kind of a document
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateModelPackage.html
_MAX_METADATA = 50
_REPLACED = ("ApprovalDescription", "InferenceSpecification", "ModelCard", "ModelLifeCycle", "SourceUri")


class ModelPackages:
    """Create, find, change and delete model packages and their groups, in AWS's format.

    :param account: its store keeps everything.
    :param events: is told about each new package and each change of an approval status.
    """

    def __init__(self, account: Account, events: EventPublisher) -> None:
        self._account = account
        self._events = events
        self._store = account.store

    def create_model_package_group(self, request: Mapping[str, Any]) -> str:
        """Create a group and return its ARN.

        :raises ValidationError: it already exists.
        """
        name = str(request["ModelPackageGroupName"])
        arn = self._account.arn(f"model-package-group/{name}")
        group = {
            "ModelPackageGroupName": name,
            "ModelPackageGroupArn": arn,
            "CreationTime": time.time(),
            "CreatedBy": {},
            "ModelPackageGroupStatus": "Completed",
        }
        if "ModelPackageGroupDescription" in request:
            group["ModelPackageGroupDescription"] = request["ModelPackageGroupDescription"]
        with self._store.transaction():
            if not self._store.insert(GROUP, name, {**group, "_last_version": 0}):
                raise ValidationError(f"Model Package Group already exists: {arn}")
            put_tags(self._store, arn, request.get("Tags") or [])
        return arn

    def describe_model_package_group(self, name_or_arn: str) -> dict[str, Any]:
        """Return a group.

        :raises ValidationError: it does not exist.
        """
        return public(self._group(name_or_arn))

    def list_model_package_groups(self) -> list[dict[str, Any]]:
        """Return every group, oldest first."""
        return [public(group) for group in self._store.list(GROUP)]

    def delete_model_package_group(self, name_or_arn: str) -> None:
        """Delete an empty group.

        :raises ConflictError: it still has packages.
        :raises ValidationError: it does not exist.
        """
        with self._store.transaction():
            group = self._group(name_or_arn)
            name, arn = group["ModelPackageGroupName"], group["ModelPackageGroupArn"]
            packages = self._store.list(PACKAGE, parent=name)
            if packages:
                raise ConflictError(
                    f"Model Package Group {arn} cannot be deleted: it still has {len(packages)} model "
                    "packages. Delete them first."
                )
            self._store.delete(GROUP, name)
            delete_tags(self._store, arn)

    def create_model_package(self, request: Mapping[str, Any]) -> str:
        """Create a package, as the next version of its group if it names one, and return its ARN.

        :raises ValidationError: the group does not exist, the name is taken, or neither or both are given.
        """
        name, group_name = request.get("ModelPackageName"), request.get("ModelPackageGroupName")
        if name and group_name:
            raise ValidationError(
                "Both ModelPackageName and ModelPackageGroupName are provided in the input. "
                "Cannot determine which one to use."
            )
        if not name and not group_name:
            raise ValidationError("Missing ARN.")
        _check_metadata(request.get("CustomerMetadataProperties") or {})
        with self._store.transaction():
            token = request.get("ClientToken")
            known = self._store.get(_TOKEN, str(token)) if token else None
            if known is not None:
                return str(known["ModelPackageArn"])
            place = self._next_version(str(group_name)) if group_name else self._unversioned(str(name))
            arn = str(place["ModelPackageArn"])
            package = {**_described(request), **place, **_new_package_fields()}
            parent = str(place.get("ModelPackageGroupName", ""))
            if parent:
                package["ModelApprovalStatus"] = request.get("ModelApprovalStatus") or "PendingManualApproval"
            if not self._store.insert(PACKAGE, arn, package, parent=parent):
                raise ValidationError(f"ModelPackage {arn} already exists.")
            if token:
                self._store.insert(_TOKEN, str(token), {"ModelPackageArn": arn})
            put_tags(self._store, arn, request.get("Tags") or [])
            if parent:
                Lineage(self._account).add_package(package)
        self._events.package_changed(package)
        return arn

    def describe_model_package(self, name_or_arn: str) -> dict[str, Any]:
        """Return a package, by its ARN or, if it is unversioned, by its name.

        :raises ValidationError: it does not exist.
        """
        return public(self._package(name_or_arn))

    def list_model_packages(self, group: str | None = None) -> list[dict[str, Any]]:
        """Return every package, or those of one group (its name or ARN), oldest first."""
        parent = self._group(group)["ModelPackageGroupName"] if group else None
        return [public(package) for package in self._store.list(PACKAGE, parent=parent)]

    def latest_approved(self, group: str) -> dict[str, Any] | None:
        """Return the newest Approved package of a group (its name or ARN); None if there is none."""
        packages = self._store.list(PACKAGE, parent=group.rpartition("/")[2])
        approved = [package for package in packages if package["ModelApprovalStatus"] == "Approved"]
        return public(max(approved, key=lambda package: package["ModelPackageVersion"])) if approved else None

    def update_model_package(self, request: Mapping[str, Any]) -> str:
        """Change a package's approval, metadata or specifications, and return its ARN.

        The same ClientToken changes it only once.

        :raises ValidationError: the package does not exist, or cannot be changed like this.
        """
        with self._store.transaction():
            package = self._package(str(request["ModelPackageArn"]))
            arn, token = str(package["ModelPackageArn"]), request.get("ClientToken")
            if token and not self._store.insert(_TOKEN, f"update {token}", {"ModelPackageArn": arn}):
                return arn
            changes: dict[str, Any] = {key: request[key] for key in _REPLACED if key in request}
            if "ModelApprovalStatus" in request:
                changes["ModelApprovalStatus"] = _approval(package, request["ModelApprovalStatus"])
            metadata = {
                **package.get("CustomerMetadataProperties", {}),
                **(request.get("CustomerMetadataProperties") or {}),
            }
            for key in request.get("CustomerMetadataPropertiesToRemove") or ():
                metadata.pop(key, None)
            _check_metadata(metadata)
            changes["CustomerMetadataProperties"] = metadata or None
            added = request.get("AdditionalInferenceSpecificationsToAdd")
            if added:
                known = package.get("AdditionalInferenceSpecifications", [])
                changes["AdditionalInferenceSpecifications"] = [*known, *added]
            changes.update(LastModifiedTime=time.time(), LastModifiedBy={})
            self._store.update(PACKAGE, arn, **changes)
        if changes.get("ModelApprovalStatus", before := package.get("ModelApprovalStatus")) != before:
            self._events.package_changed(self.describe_model_package(arn))
        return arn

    def delete_model_package(self, name_or_arn: str) -> None:
        """Delete a package; its version number is not used again.

        :raises ValidationError: it does not exist.
        """
        with self._store.transaction():
            arn = self._package(name_or_arn)["ModelPackageArn"]
            self._store.delete(PACKAGE, arn)
            delete_tags(self._store, arn)

    def _group(self, name_or_arn: str) -> Document:
        group = self._store.get(GROUP, name_or_arn.rpartition("model-package-group/")[2])
        if group is None:
            arn = self._account.arn(f"model-package-group/{name_or_arn.rpartition('/')[2]}")
            raise ValidationError(f"Model Package Group {arn} does not exist.")
        return group

    def _package(self, name_or_arn: str) -> Document:
        arn = (
            name_or_arn
            if name_or_arn.startswith("arn:")
            else self._account.arn(f"model-package/{name_or_arn}")
        )
        package = self._store.get(PACKAGE, arn)
        if package is None:
            raise ValidationError(f"ModelPackage {arn} does not exist.")
        return package

    def _next_version(self, group_name_or_arn: str) -> dict[str, Any]:
        group = self._group(group_name_or_arn)
        name, version = group["ModelPackageGroupName"], group["_last_version"] + 1
        self._store.update(GROUP, name, _last_version=version)
        return {
            "ModelPackageGroupName": name,
            "ModelPackageVersion": version,
            "ModelPackageArn": self._account.arn(f"model-package/{name}/{version}"),
        }

    def _unversioned(self, name: str) -> dict[str, Any]:
        return {"ModelPackageName": name, "ModelPackageArn": self._account.arn(f"model-package/{name}")}


def _described(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of the request that a description repeats."""
    left_out = ("Tags", "ClientToken", "ModelPackageName", "ModelPackageGroupName", "ModelApprovalStatus")
    return {key: value for key, value in request.items() if key not in left_out}


def _new_package_fields() -> dict[str, Any]:
    return {
        "CreationTime": time.time(),
        "CreatedBy": {},
        "ModelPackageStatus": "Completed",
        "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
    }


def _approval(package: Mapping[str, Any], status: str) -> str:
    if "ModelPackageGroupName" not in package:
        raise ValidationError(
            f"ModelApprovalStatus cannot be set on {package['ModelPackageArn']}: only versioned model "
            "packages, which belong to a group, can be approved."
        )
    return status


def _check_metadata(metadata: Mapping[str, Any]) -> None:
    if len(metadata) > _MAX_METADATA:
        raise ValidationError(
            f"CustomerMetadataProperties would have {len(metadata)} entries; expected at most "
            f"{_MAX_METADATA}. Remove some."
        )
