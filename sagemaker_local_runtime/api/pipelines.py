"""The actions on pipelines and their versions."""

from __future__ import annotations

import time
from operator import itemgetter
from typing import Any

from sagemaker_local_runtime.api.paging import arranged, page, pick, within
from sagemaker_local_runtime.api.registry import Request, Response, action
from sagemaker_local_runtime.engine.definition import parse_definition
from sagemaker_local_runtime.engine.execution import delete_executions
from sagemaker_local_runtime.engine.pipelines import (
    PIPELINE,
    VERSION,
    add_version,
    find_pipeline,
    find_version,
    pipeline_arn,
    pipeline_key,
    version_key,
)
from sagemaker_local_runtime.exceptions import ConflictError, ValidationError
from sagemaker_local_runtime.runtime import Runtime
from sagemaker_local_runtime.services.tags import delete_tags, put_tags
from sagemaker_local_runtime.store import fingerprint, public

_DELETED = "deleted-pipeline"
_COPIED = ("PipelineDisplayName", "PipelineDescription", "RoleArn", "ParallelismConfiguration")
_SUMMARY = (
    "PipelineArn",
    "PipelineName",
    "PipelineDisplayName",
    "PipelineDescription",
    "RoleArn",
    "CreationTime",
    "LastModifiedTime",
)


@action("CreatePipeline")
def create_pipeline(runtime: Runtime, request: Request) -> Response:
    """Create a pipeline and its first version; a repeated token returns the first answer."""
    name = request["PipelineName"]
    arn = pipeline_arn(runtime.account, name)
    definition = _definition_text(runtime, request)
    now = time.time()
    body = {
        "PipelineArn": arn,
        "PipelineName": name,
        "PipelineDisplayName": request.get("PipelineDisplayName", name),
        "PipelineStatus": "Active",
        "CreationTime": now,
        "LastModifiedTime": now,
        "CreatedBy": {},
        "LastModifiedBy": {},
        **{key: request[key] for key in _COPIED if key in request},
        "_latest_version": 1,
        "_token": request["ClientRequestToken"],
        "_fingerprint": fingerprint(request),
    }
    with runtime.account.store.transaction():
        existing = runtime.account.store.get(PIPELINE, pipeline_key(arn))
        if existing is not None:
            _check_repeated(existing, body)
            return {"PipelineArn": existing["PipelineArn"]}
        runtime.account.store.insert(PIPELINE, pipeline_key(arn), body)
        add_version(runtime.account.store, body, definition)
        put_tags(runtime.account.store, arn, request.get("Tags") or ())
    return {"PipelineArn": arn}


@action("UpdatePipeline")
def update_pipeline(runtime: Runtime, request: Request) -> Response:
    """Update a pipeline; a definition, even an unchanged one, becomes its next version."""
    pipeline = find_pipeline(runtime.account, request["PipelineName"])
    definition = _definition_text(runtime, request) if _has_definition(request) else None
    arn = pipeline["PipelineArn"]
    changes: dict[str, Any] = {key: request[key] for key in _COPIED if key in request}
    with runtime.account.store.transaction():
        pipeline = find_pipeline(runtime.account, arn)
        if definition is not None:
            changes["_latest_version"] = add_version(runtime.account.store, pipeline, definition)
        pipeline = runtime.account.store.update(
            PIPELINE, pipeline_key(arn), LastModifiedTime=time.time(), **changes
        )
    return {"PipelineArn": arn, "PipelineVersionId": pipeline["_latest_version"]}


@action("DescribePipeline")
def describe_pipeline(runtime: Runtime, request: Request) -> Response:
    """Describe a pipeline with the definition of the requested version, by default the latest."""
    pipeline = find_pipeline(runtime.account, request["PipelineName"])
    version = find_version(runtime.account.store, pipeline, request.get("PipelineVersionId"))
    own = ("PipelineDefinition", "PipelineVersionDisplayName", "PipelineVersionDescription")
    return {**public(pipeline), **{key: version[key] for key in own if key in version}}


@action("ListPipelines")
def list_pipelines(runtime: Runtime, request: Request) -> Response:
    """List pipelines, newest first by default."""
    prefix = request.get("PipelineNamePrefix", "")
    found = [
        pipeline
        for pipeline in runtime.account.store.list(PIPELINE)
        if pipeline["PipelineName"].startswith(prefix)
        and within(pipeline["CreationTime"], request, "Created")
    ]
    sort_key = "PipelineName" if request.get("SortBy") == "Name" else "CreationTime"
    items = arranged(found, request, itemgetter(sort_key))
    found, following = page(items, request, key="PipelineArn")
    return {"PipelineSummaries": [_summary(pipeline) for pipeline in found], **following}


@action("DeletePipeline")
def delete_pipeline(runtime: Runtime, request: Request) -> Response:
    """Delete a pipeline with its versions and executions; refused while an execution is running."""
    token = request["ClientRequestToken"]
    repeated = runtime.account.store.get(_DELETED, token)
    if repeated is not None:
        return {"PipelineArn": repeated["PipelineArn"]}
    arn = find_pipeline(runtime.account, request["PipelineName"])["PipelineArn"]
    running = runtime.executions.running(arn)
    if running:
        raise ConflictError(
            f"Cannot delete pipeline '{arn}': {len(running)} of its executions are running "
            f"({', '.join(running)}). Stop them with StopPipelineExecution and wait until they have ended."
        )
    with runtime.account.store.transaction():
        delete_executions(runtime.account.store, arn)
        runtime.account.store.delete_children(VERSION, arn)
        runtime.account.store.delete(PIPELINE, pipeline_key(arn))
        delete_tags(runtime.account.store, arn)
        runtime.account.store.insert(_DELETED, token, {"PipelineArn": arn})
    return {"PipelineArn": arn}


@action("ListPipelineVersions")
def list_pipeline_versions(runtime: Runtime, request: Request) -> Response:
    """List the versions of a pipeline, newest first by default."""
    pipeline = find_pipeline(runtime.account, request["PipelineName"])
    versions = runtime.account.store.list(VERSION, parent=pipeline["PipelineArn"])
    items = arranged(
        (version for version in versions if within(version["CreationTime"], request, "Created")),
        request,
        itemgetter("PipelineVersionId"),
    )
    found, following = page(items, request, key="PipelineVersionId")
    summaries = [{k: v for k, v in item.items() if k != "PipelineDefinition"} for item in found]
    return {"PipelineVersionSummaries": summaries, **following}


@action("UpdatePipelineVersion")
def update_pipeline_version(runtime: Runtime, request: Request) -> Response:
    """Set the display name and description of a version."""
    pipeline = find_pipeline(runtime.account, request["PipelineArn"])
    number = request["PipelineVersionId"]
    find_version(runtime.account.store, pipeline, number)
    keys = ("PipelineVersionDisplayName", "PipelineVersionDescription")
    changes = {key: request[key] for key in keys if key in request}
    runtime.account.store.update(VERSION, version_key(pipeline["PipelineArn"], number), **changes)
    return {"PipelineArn": pipeline["PipelineArn"], "PipelineVersionId": number}


def _has_definition(request: Request) -> bool:
    return "PipelineDefinition" in request or "PipelineDefinitionS3Location" in request


def _definition_text(runtime: Runtime, request: Request) -> str:
    """Return the definition in a request, or in S3, after checking it."""
    if "PipelineDefinition" in request and "PipelineDefinitionS3Location" in request:
        raise ValidationError(
            "Both PipelineDefinition and PipelineDefinitionS3Location are given. Give one of them."
        )
    if not _has_definition(request):
        raise ValidationError(
            "Neither PipelineDefinition nor PipelineDefinitionS3Location is given. Give one of them."
        )
    text = request.get("PipelineDefinition") or _read_definition(
        runtime, request["PipelineDefinitionS3Location"]
    )
    allowed = runtime.account.settings.allowed_arguments
    parse_definition(text, allowed=allowed, stubs=runtime.stubs.types)
    return str(text)


def _read_definition(runtime: Runtime, location: Request) -> str:
    version = {"VersionId": location["VersionId"]} if "VersionId" in location else {}
    try:
        answer = runtime.account.client("s3").get_object(
            Bucket=location["Bucket"], Key=location["ObjectKey"], **version
        )
        return str(answer["Body"].read().decode())
    except (runtime.account.client("s3").exceptions.ClientError, UnicodeDecodeError) as error:
        uri = f"s3://{location['Bucket']}/{location['ObjectKey']}"
        raise ValidationError(f"Cannot read the pipeline definition at {uri}: {error}") from error


def _check_repeated(existing: Request, body: Request) -> None:
    same_token = existing["_token"] == body["_token"]
    if not same_token:
        raise ValidationError(
            "Pipeline names must be unique within an AWS account and region. "
            f"Pipeline with name ({body['PipelineName']}) already exists."
        )
    if existing["_fingerprint"] != body["_fingerprint"]:
        raise ConflictError(
            f"ClientRequestToken '{body['_token']}' was used before to create "
            f"'{body['PipelineArn']}' with a different request. Use a new token for a new request."
        )


def _summary(pipeline: Request) -> Response:
    summary = pick(pipeline, _SUMMARY)
    if "LastRunTime" in pipeline:
        summary["LastExecutionTime"] = pipeline["LastRunTime"]
    return summary
