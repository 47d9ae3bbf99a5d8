"""The actions on lineage: artifacts, actions, contexts and associations."""

from __future__ import annotations

from typing import Any

from sagemaker_local_runtime.api.paging import arranged, page, pick, within
from sagemaker_local_runtime.api.registry import Request, Response, action
from sagemaker_local_runtime.exceptions import ResourceNotFoundError, ValidationError
from sagemaker_local_runtime.runtime import Runtime
from sagemaker_local_runtime.services.experiments import Experiments
from sagemaker_local_runtime.services.lineage import ARTIFACT, ENTITIES, Entity, Lineage

_SUMMARY = ("Source", "Status", "CreationTime", "LastModifiedTime")
_ENDS = ("Source", "Destination")


def _register(entity: Entity) -> None:
    """Register the five actions on one kind of entity."""

    @action(f"Create{entity.noun}")
    def create(runtime: Runtime, request: Request) -> Response:
        return {entity.arn_field: Lineage(runtime.account).create(entity, request)}

    @action(f"Describe{entity.noun}")
    def describe(runtime: Runtime, request: Request) -> Response:
        return Lineage(runtime.account).describe(entity, request[entity.key])

    @action(f"Update{entity.noun}")
    def update(runtime: Runtime, request: Request) -> Response:
        return {entity.arn_field: Lineage(runtime.account).update(entity, request)}

    @action(f"Delete{entity.noun}")
    def delete(runtime: Runtime, request: Request) -> Response:
        lineage = Lineage(runtime.account)
        key = request.get(entity.key) or _artifact_at(lineage, request)
        return {entity.arn_field: lineage.delete(entity, key)}

    @action(f"List{entity.noun}s")
    def list_entities(runtime: Runtime, request: Request) -> Response:
        wanted = request.get("SourceUri"), request.get(entity.type_field)
        items = [
            item
            for item in Lineage(runtime.account).entities(entity)
            if wanted[0] in (None, item["Source"]["SourceUri"])
            and wanted[1] in (None, item[entity.type_field])
            and within(item["CreationTime"], request, "Created")
        ]
        by = entity.name_field if request.get("SortBy") == "Name" else "CreationTime"
        ordered = arranged(items, request, lambda item: (str(item.get(by, "")), item["CreationTime"]))
        found, following = page(ordered, request, key=entity.arn_field)
        fields = (entity.arn_field, entity.name_field, entity.type_field, *_SUMMARY)
        return {f"{entity.noun}Summaries": [pick(item, fields) for item in found], **following}


for _entity in ENTITIES:
    _register(_entity)


@action("AddAssociation")
def add_association(runtime: Runtime, request: Request) -> Response:
    """Associate two entities, which must exist."""
    ends = {"SourceArn": request["SourceArn"], "DestinationArn": request["DestinationArn"]}
    lineage = Lineage(runtime.account)
    for arn in ends.values():
        if not _described(runtime, lineage, arn):
            raise ResourceNotFoundError(f"The lineage entity '{arn}' does not exist. Create it first.")
    lineage.associate(ends["SourceArn"], ends["DestinationArn"], request.get("AssociationType"))
    return ends


@action("DeleteAssociation")
def delete_association(runtime: Runtime, request: Request) -> Response:
    """Delete an association."""
    ends = pick(request, ("SourceArn", "DestinationArn"))
    Lineage(runtime.account).dissociate(request["SourceArn"], request["DestinationArn"])
    return ends


@action("ListAssociations")
def list_associations(runtime: Runtime, request: Request) -> Response:
    """List associations, newest first by default, each with the names and types of its ends."""
    lineage = Lineage(runtime.account)
    equal = ("SourceArn", "DestinationArn", "AssociationType", "SourceType", "DestinationType")
    direct = {name: request[name] for name in equal[:3] if name in request}
    items = [
        _with_ends(runtime, lineage, found)
        for found in lineage.associations()
        if direct.items() <= found.items() and within(found["CreationTime"], request, "Created")
    ]
    items = [item for item in items if all(request.get(name) in (None, item.get(name)) for name in equal)]
    by = request.get("SortBy", "CreationTime")
    ordered = arranged(items, request, lambda item: (str(item.get(by, "")), item["CreationTime"]))
    for item in ordered:
        item["_key"] = f"{item['SourceArn']} {item['DestinationArn']}"
    found, following = page(ordered, request, key="_key")
    summaries = [{name: value for name, value in item.items() if name != "_key"} for item in found]
    return {"AssociationSummaries": summaries, **following}


def _with_ends(runtime: Runtime, lineage: Lineage, association: Request) -> dict[str, Any]:
    names: dict[str, Any] = {}
    for end in _ENDS:
        entity = _described(runtime, lineage, association[f"{end}Arn"])
        names |= {f"{end}{field}": value for field, value in entity.items() if value is not None}
    return {**association, **names}


def _described(runtime: Runtime, lineage: Lineage, arn: str) -> dict[str, Any]:
    """Return the name and the type of an entity or a trial component; nothing if it does not exist."""
    component = arn.partition(":experiment-trial-component/")[2]
    if component:
        known = Experiments(runtime.account).has_component(component)
        return {"Name": component, "Type": "SageMakerTrialComponent"} if known else {}
    found = lineage.find(arn)
    if found is None:
        return {}
    entity, document = found
    return {"Name": document.get(entity.name_field), "Type": document[entity.type_field]}


def _artifact_at(lineage: Lineage, request: Request) -> str:
    uri = (request.get("Source") or {}).get("SourceUri")
    for item in lineage.entities(ARTIFACT):
        if uri is not None and item["Source"]["SourceUri"] == uri:
            return str(item["ArtifactArn"])
    raise ValidationError(f"No artifact is named by {request}. Give its ArtifactArn, or the Source of one.")
