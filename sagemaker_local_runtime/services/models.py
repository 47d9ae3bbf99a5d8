"""Models, and the packages of the model registry (``model_packages.py``) that they may come from."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from sagemaker_local_runtime.account import Account
from sagemaker_local_runtime.exceptions import ValidationError
from sagemaker_local_runtime.services.events import EventPublisher
from sagemaker_local_runtime.services.model_packages import ModelPackages
from sagemaker_local_runtime.services.storage import Storage
from sagemaker_local_runtime.services.tags import delete_tags, put_tags

MODEL = "model"


class ModelRegistry(ModelPackages):
    """Create, find and delete models, model packages and their groups, in AWS's format.

    :param account: its store keeps everything.
    :param storage: finds the artifacts of models.
    :param events: is told about the changes of packages.
    """

    def __init__(self, account: Account, storage: Storage, events: EventPublisher) -> None:
        super().__init__(account, events)
        self._storage = storage

    def create_model(self, request: Mapping[str, Any]) -> str:
        """Create a model and return its ARN.

        :raises ValidationError: the name is taken, a container is incomplete, its artifact is missing,
            or its model package is not Approved (AWS documents that a package must be approved before it
            can be deployed).
        """
        name = str(request["ModelName"])
        arn = self._account.arn(f"model/{name}")
        for container in _containers_of(request):
            self._check_container(container)
        model = {
            **{key: value for key, value in request.items() if key != "Tags"},
            "ModelArn": arn,
            "CreationTime": time.time(),
            "EnableNetworkIsolation": bool(request.get("EnableNetworkIsolation", False)),
        }
        with self._store.transaction():
            if not self._store.insert(MODEL, name, model):
                raise ValidationError(f'Cannot create already existing model "{arn}".')
            put_tags(self._store, arn, request.get("Tags") or [])
        return arn

    def describe_model(self, name: str) -> dict[str, Any]:
        """Return a model.

        :raises ValidationError: it does not exist.
        """
        model = self._store.get(MODEL, name)
        if model is None:
            raise ValidationError(f'Could not find model "{self._account.arn(f"model/{name}")}".')
        return model

    def list_models(self) -> list[dict[str, Any]]:
        """Return every model, oldest first."""
        return self._store.list(MODEL)

    def delete_model(self, name: str) -> None:
        """Delete a model; its artifact stays.

        :raises ValidationError: it does not exist.
        """
        with self._store.transaction():
            arn = self.describe_model(name)["ModelArn"]
            self._store.delete(MODEL, name)
            delete_tags(self._store, arn)

    def containers(self, name: str) -> list[dict[str, Any]]:
        """Return the containers of a model, with model packages replaced by their containers.

        :param name: the model's name.
        :return: container definitions, each with ``Image`` and usually ``ModelDataUrl``.
        :raises ValidationError: the model or a package does not exist.
        """
        found: list[dict[str, Any]] = []
        for container in _containers_of(self.describe_model(name)):
            package_name = container.get("ModelPackageName")
            if package_name is None:
                found.append(container)
                continue
            package = self.describe_model_package(str(package_name))
            for packaged in _packaged_containers(package):
                environment = {**packaged.get("Environment", {}), **container.get("Environment", {})}
                found.append({**packaged, "Environment": environment})
        return found

    def _check_container(self, container: Mapping[str, Any]) -> None:
        package_name = container.get("ModelPackageName")
        if package_name is not None:
            self._check_package(str(package_name))
        elif "Image" not in container:
            raise ValidationError("A container needs either Image or ModelPackageName.")
        uri = container.get("ModelDataUrl") or (
            (container.get("ModelDataSource") or {}).get("S3DataSource") or {}
        ).get("S3Uri")
        if uri and not self._storage.has_objects(str(uri)):
            raise ValidationError(f"Could not find model data at {uri}.")

    def _check_package(self, name_or_arn: str) -> None:
        package = self.describe_model_package(name_or_arn)
        status = package.get("ModelApprovalStatus", "Approved")
        if status != "Approved":
            raise ValidationError(
                f"Model package {package['ModelPackageArn']} has ModelApprovalStatus {status}; a model can "
                "be created from an Approved model package only. UpdateModelPackage approves it."
            )
        if not _packaged_containers(package):
            raise ValidationError(
                f"Model package {package['ModelPackageArn']} has no InferenceSpecification with containers."
            )


def _containers_of(request: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the containers of a model, or of the request that creates one.

    :raises ValidationError: there are none, or they are given in two ways.
    """
    primary, containers = request.get("PrimaryContainer"), request.get("Containers")
    if primary and containers:
        raise ValidationError("You must specify either PrimaryContainer or Containers, not both.")
    if not primary and not containers:
        raise ValidationError("At least one container is needed: PrimaryContainer or Containers.")
    return [dict(container) for container in ([primary] if primary else containers or [])]


def _packaged_containers(package: Mapping[str, Any]) -> list[dict[str, Any]]:
    return list((package.get("InferenceSpecification") or {}).get("Containers") or [])
