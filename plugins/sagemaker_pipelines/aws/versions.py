"""Versions of a pipeline that are deployed already and are requested by number."""

from __future__ import annotations

from sagemaker_pipelines.aws.client import SageMakerClient
from sagemaker_pipelines.aws.upsert import UpsertResult
from sagemaker_pipelines.definition import definition_hash, parse_definition
from sagemaker_pipelines.exceptions import DefinitionError, ParameterError
from sagemaker_pipelines.reading import whole_number


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
        newest = client.latest_version_id(pipeline_name)
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
