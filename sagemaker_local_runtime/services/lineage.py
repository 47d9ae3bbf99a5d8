"""Lineage: artifacts, actions and contexts, and the associations between them.

https://docs.aws.amazon.com/sagemaker/latest/dg/lineage-tracking-entities.html
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Mapping
from itertools import count
from typing import Any

from sagemaker_local_runtime.account import Account
from sagemaker_local_runtime.exceptions import ResourceNotFoundError, ValidationError
from sagemaker_local_runtime.services.tags import delete_tags, put_tags
from sagemaker_local_runtime.store import Document

ASSOCIATION = "association"


class Entity:
    """The names of one kind of entity in the API.

    :param noun: ``"Artifact"``, ``"Action"`` or ``"Context"``.
    :param key: the member of a request that names one.
    """

    def __init__(self, noun: str, key: str) -> None:
        self.noun, self.key = noun, key
        self.kind = noun.lower()
        self.arn_field, self.name_field, self.type_field = f"{noun}Arn", f"{noun}Name", f"{noun}Type"


ARTIFACT = Entity("Artifact", "ArtifactArn")
ACTION = Entity("Action", "ActionName")
CONTEXT = Entity("Context", "ContextName")
ENTITIES = (ARTIFACT, ACTION, CONTEXT)


class Lineage:
    """The lineage of one account.

    :param account: its store keeps everything.
    """

    def __init__(self, account: Account) -> None:
        self._account = account
        self._store = account.store

    def create(self, entity: Entity, request: Mapping[str, Any]) -> str:
        """Create an entity and return its ARN.

        :raises ValidationError: the name of an action or a context is taken.
        """
        arn, now = self._new_arn(entity, request), time.time()
        times = {"CreationTime": now, "CreatedBy": {}, "LastModifiedTime": now, "LastModifiedBy": {}}
        described = {key: value for key, value in request.items() if key != "Tags"}
        body = {**described, entity.arn_field: arn, **times}
        with self._store.transaction():
            if not self._store.insert(entity.kind, str(body[entity.key]), body):
                raise ValidationError(f"{entity.noun} names must be unique; {arn} already exists.")
            put_tags(self._store, arn, request.get("Tags") or [])
        return arn

    def _new_arn(self, entity: Entity, request: Mapping[str, Any]) -> str:
        if entity is not ARTIFACT:
            return self._account.arn(f"{entity.kind}/{request[entity.name_field]}")
        first = self._first_artifact(request["Source"]["SourceUri"])
        taken = self._store.get(ARTIFACT.kind, first) is not None
        return self._account.arn(f"artifact/{secrets.token_hex(16)}") if taken else first

    def _first_artifact(self, uri: str) -> str:
        """Return the ARN of the artifact at a URI, or the one that it would have."""
        return self._account.arn(f"artifact/{hashlib.sha256(uri.encode()).hexdigest()[:32]}")

    def find(self, arn: str) -> tuple[Entity, Document] | None:
        """Return the entity with an ARN; None if there is none."""
        kind, _, name = arn.split(":", 5)[-1].partition("/")
        for entity in ENTITIES:
            if entity.kind == kind:
                found = self._store.get(kind, arn if entity is ARTIFACT else name)
                return (entity, found) if found else None
        return None

    def describe(self, entity: Entity, key: str) -> Document:
        """Return an entity by its key.

        :raises ResourceNotFoundError: it does not exist.
        """
        found = self._store.get(entity.kind, key)
        if found is None:
            raise ResourceNotFoundError(f"{entity.noun} '{key}' does not exist.")
        return found

    def entities(self, entity: Entity) -> list[Document]:
        """Return every entity of a kind, oldest first."""
        return self._store.list(entity.kind)

    def update(self, entity: Entity, request: Mapping[str, Any]) -> str:
        """Change the members and properties of an entity, and return its ARN."""
        key = str(request[entity.key])
        with self._store.transaction():
            known = self.describe(entity, key)
            properties = {**(known.get("Properties") or {}), **(request.get("Properties") or {})}
            for name in request.get("PropertiesToRemove") or ():
                properties.pop(name, None)
            left_out = ("Properties", "PropertiesToRemove", entity.key)
            changes = {name: value for name, value in request.items() if name not in left_out}
            changes.update(Properties=properties or None, LastModifiedTime=time.time())
            self._store.update(entity.kind, key, **changes)
        return str(known[entity.arn_field])

    def delete(self, entity: Entity, key: str) -> str:
        """Delete an entity with its associations, and return its ARN."""
        with self._store.transaction():
            arn = str(self.describe(entity, key)[entity.arn_field])
            for found in self.associations():
                if arn in (found["SourceArn"], found["DestinationArn"]):
                    self._store.delete(ASSOCIATION, _key(found["SourceArn"], found["DestinationArn"]))
            self._store.delete(entity.kind, key)
            delete_tags(self._store, arn)
        return arn

    def artifact(self, uri: str, kind: str) -> str:
        """Return the ARN of the artifact at a URI, which is created if there is none."""
        with self._store.transaction():
            arn = self._first_artifact(uri)
            if self._store.get(ARTIFACT.kind, arn) is None:
                self.create(ARTIFACT, {"Source": {"SourceUri": uri}, "ArtifactType": kind})
        return arn

    def add_package(self, package: Mapping[str, Any]) -> None:
        """Record a new version of a model package group, as the model registry of AWS does.

        :param package: its Describe answer.
        """
        group, version, arn = (package[f"ModelPackage{name}"] for name in ("GroupName", "Version", "Arn"))
        target = self.artifact(arn, "ModelPackage")
        for container in (package.get("InferenceSpecification") or {}).get("Containers", ()):
            for uri, kind in ((container.get("ModelDataUrl"), "Model"), (container.get("Image"), "Image")):
                if uri:
                    self.associate(self.artifact(uri, kind), target, "ContributedTo")
        approval = {
            "ActionName": self._approval_name(f"{group}-{version}-{package['ModelApprovalStatus']}", package),
            "ActionType": "Approval",
            "Source": {"SourceUri": arn},
            "Status": "Completed",
        }
        self.associate(self.create(ACTION, approval), target, "ContributedTo")
        context = f"{group}-aws-model-package-group"
        if self._store.get(CONTEXT.kind, context) is None:
            source = {"SourceUri": arn.rpartition("/")[0].replace(":model-package/", ":model-package-group/")}
            self.create(CONTEXT, {"ContextName": context, "ContextType": "ModelGroup", "Source": source})
        self.associate(target, str(self.describe(CONTEXT, context)["ContextArn"]), "AssociatedWith")

    def _approval_name(self, first: str, package: Mapping[str, Any]) -> str:
        """Return a name with the package's second; a deleted package may have had the same one."""
        names = (f"{first}-{second}-aws-model-package" for second in count(int(package["CreationTime"])))
        return next(name for name in names if self._store.get(ACTION.kind, name) is None)

    def associate(self, source: str, destination: str, kind: str | None = None) -> None:
        """Associate two entities, again without effect.

        :param source: an ARN, as is ``destination``.
        :param kind: such as ``"ContributedTo"``.
        """
        ends = {"SourceArn": source, "DestinationArn": destination, "CreationTime": time.time()}
        body = ends | ({"AssociationType": kind} if kind else {})
        self._store.insert(ASSOCIATION, _key(source, destination), body)

    def associations(self) -> list[Document]:
        """Return every association, oldest first."""
        return self._store.list(ASSOCIATION)

    def dissociate(self, source: str, destination: str) -> None:
        """Delete an association.

        :raises ResourceNotFoundError: there is none.
        """
        if not self._store.delete(ASSOCIATION, _key(source, destination)):
            raise ResourceNotFoundError(f"The association from '{source}' to '{destination}' does not exist.")


def _key(source: str, destination: str) -> str:
    return f"{source} {destination}"
