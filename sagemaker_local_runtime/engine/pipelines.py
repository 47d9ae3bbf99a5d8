"""Pipelines and their versions in the store."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from sagemaker_local_runtime.account import Account
from sagemaker_local_runtime.exceptions import ResourceNotFoundError
from sagemaker_local_runtime.store import Document, Store

PIPELINE = "pipeline"
VERSION = "pipeline-version"


def pipeline_arn(account: Account, name: str) -> str:
    """Return the ARN of the pipeline with this name."""
    return account.arn(f"pipeline/{name}")


def pipeline_key(arn: str) -> str:
    """Return the store's key of a pipeline; names that differ only in case are the same name."""
    return arn.lower()


def find_pipeline(account: Account, name_or_arn: str) -> Document:
    """Return the document of a pipeline.

    :param name_or_arn: the name or the ARN; every action accepts both.
    :raises ResourceNotFoundError: it does not exist.
    """
    is_arn = name_or_arn.startswith("arn:")
    arn = name_or_arn if is_arn else pipeline_arn(account, name_or_arn)
    document = account.store.get(PIPELINE, pipeline_key(arn))
    if document is None:
        raise ResourceNotFoundError(f"Pipeline '{arn}' does not exist.")
    return document


def add_version(store: Store, pipeline: Mapping[str, Any], definition: str) -> int:
    """Store the next version of a pipeline and return its number."""
    arn = pipeline["PipelineArn"]
    with store.transaction():
        number = len(store.list(VERSION, parent=arn)) + 1
        body = {
            "PipelineArn": arn,
            "PipelineVersionId": number,
            "CreationTime": time.time(),
            "PipelineDefinition": definition,
        }
        store.insert(VERSION, version_key(arn, number), body, parent=arn)
    return number


def find_version(store: Store, pipeline: Mapping[str, Any], number: int | None) -> Document:
    """Return a version of a pipeline, by default the latest.

    :raises ResourceNotFoundError: the version does not exist.
    """
    arn = pipeline["PipelineArn"]
    wanted = number or pipeline["_latest_version"]
    document = store.get(VERSION, version_key(arn, wanted))
    if document is None:
        raise ResourceNotFoundError(
            f"Pipeline version '{wanted}' of pipeline '{arn}' does not exist; "
            f"the latest is '{pipeline['_latest_version']}'."
        )
    return document


def version_of(store: Store, execution: Mapping[str, Any]) -> Document:
    """Return the version that an execution runs."""
    key = version_key(execution["PipelineArn"], execution["PipelineVersionId"])
    document = store.get(VERSION, key)
    assert document is not None, key
    return document


def version_key(arn: str, number: int) -> str:
    """Return the store's key of a version."""
    return f"{arn}/version/{number}"


def definition_of(version: Mapping[str, Any]) -> dict[str, Any]:
    """Return a version's definition as an object."""
    definition: dict[str, Any] = json.loads(version["PipelineDefinition"])
    return definition
