"""Versions of a pipeline that are deployed already and are requested by number."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from botocore.exceptions import ClientError

from sagemaker_pipelines.aws.client import SageMakerClient
from sagemaker_pipelines.aws.errors import is_missing
from sagemaker_pipelines.definition import definition_hash, parse_definition
from sagemaker_pipelines.exceptions import DefinitionError, ParameterError
from sagemaker_pipelines.reading import whole_number


@dataclass(frozen=True, kw_only=True)
class UpsertResult:
    """What is deployed now.

    :param pipeline_name: the pipeline, with the environment's prefix.
    :param pipeline_arn: its ARN.
    :param pipeline_version_id: the version with exactly this definition, for the start to execute.
    :param changed: whether anything was written.
    :param created: whether the pipeline is new.
    :param definition_hash: the hash of the deployed definition's canonical text.
    :param pinned: whether the version was requested, and may therefore differ from the compiled definition.
    """

    pipeline_name: str
    pipeline_arn: str
    pipeline_version_id: int | None
    changed: bool
    created: bool
    definition_hash: str
    pinned: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON types, for XCom."""
        return asdict(self)


def latest_version_id(client: SageMakerClient, pipeline_name: str) -> int | None:
    """Return the newest PipelineVersionId; None where the pipeline, or a version of it, is missing."""
    return _version_id(client, pipeline_name, "Descending")


def first_version_id(client: SageMakerClient, pipeline_name: str) -> int | None:
    """Return the PipelineVersionId that the pipeline was created with; None as above."""
    return _version_id(client, pipeline_name, "Ascending")


def _version_id(client: SageMakerClient, pipeline_name: str, sort_order: str) -> int | None:
    # Neither CreatePipeline nor DescribePipeline returns the version.
    try:
        answer = client.sagemaker.list_pipeline_versions(
            PipelineName=pipeline_name, SortOrder=sort_order, MaxResults=1
        )
    except ClientError as error:
        if is_missing(error):
            return None
        raise
    versions = answer["PipelineVersionSummaries"]
    return int(versions[0]["PipelineVersionId"]) if versions else None


def version_id(value: int | str | None) -> int | None:
    """Return a PipelineVersionId that was given as a number or a string; None if none was given.

    :raises ParameterError: it is not a whole number.
    """
    if value is None or value in {"", "None"}:
        return None
    try:
        return whole_number(str(value))
    except ValueError:
        raise ParameterError(
            f"pipeline_version_id is {value!r}; expected a whole number, such as the one in the upsert's "
            "XCom. Correct it."
        ) from None


def pinned_version(client: SageMakerClient, pipeline_name: str, version: int) -> UpsertResult:
    """Return a deployed version in the same form as an upsert, without writing anything.

    :param client: calls AWS.
    :param pipeline_name: the pipeline.
    :param version: its PipelineVersionId.
    :raises DefinitionError: the pipeline has no such version.
    """
    described = client.describe_pipeline(pipeline_name, pipeline_version_id=version)
    if described is None:
        newest = latest_version_id(client, pipeline_name)
        raise DefinitionError(
            f"Version {version} of the pipeline {pipeline_name!r} was requested but does not exist; "
            + (
                f"the newest is {newest}. Request an existing version."
                if newest
                else "the pipeline does not exist, either: upsert it first."
            )
        )
    return UpsertResult(
        pipeline_name=pipeline_name,
        pipeline_arn=described["PipelineArn"],
        pipeline_version_id=version,
        changed=False,
        created=False,
        definition_hash=definition_hash(parse_definition(described["PipelineDefinition"])),
        pinned=True,
    )
