"""Check and record the starts of executions; a token makes each happen only once."""

from __future__ import annotations

import secrets
import string
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sagemaker_local_runtime.engine.definition import unsupported
from sagemaker_local_runtime.engine.graph import Graph
from sagemaker_local_runtime.engine.parameters import parameter_values, typed_values
from sagemaker_local_runtime.engine.pipelines import (
    PIPELINE,
    VERSION,
    definition_of,
    find_version,
    pipeline_key,
    version_key,
)
from sagemaker_local_runtime.engine.record import EXECUTION, ExecutionRecord
from sagemaker_local_runtime.engine.resolver import Resolver, Scope
from sagemaker_local_runtime.engine.selective import reused_steps
from sagemaker_local_runtime.engine.services import Services
from sagemaker_local_runtime.engine.variables import execution_variables
from sagemaker_local_runtime.exceptions import ConflictError, ResolutionError, ValidationError
from sagemaker_local_runtime.store import Document, fingerprint
from sagemaker_local_runtime.validation import validate
from sagemaker_pipelines.definition import iter_steps

START_TOKEN = "start-token"  # noqa: S105 - the kind of a document

_ID_ALPHABET = string.ascii_lowercase + string.digits


@dataclass(frozen=True)
class Start:
    """A checked start that has not been stored yet.

    :param execution: the execution's document.
    :param definition: the definition that it runs.
    :param reused: the step documents that a selective execution reuses from its source.
    """

    execution: Document
    definition: dict[str, Any]
    reused: list[Document]


class Starts:
    """Check and store the starts of executions.

    :param services: the store keeps the starts.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._store = services.account.store

    def find_started(self, pipeline: Document, request: Mapping[str, Any]) -> str | None:
        """Return the ARN of the execution that the request's token has already started, or None.

        :raises ConflictError: the token has started an execution with another request.
        """
        known = self._store.get(START_TOKEN, _token_key(pipeline["PipelineArn"], request))
        if known is None:
            return None
        if known["_fingerprint"] != _fingerprint(request):
            raise ConflictError(
                f"ClientRequestToken '{request['ClientRequestToken']}' has already been used to start "
                f"'{known['PipelineExecutionArn']}' with other parameters. Use a new token for a new request."
            )
        return str(known["PipelineExecutionArn"])

    def images(self, pipeline: Document, request: Mapping[str, Any]) -> set[str]:
        """Return the images that a definition runs; transform jobs and endpoints run those of models."""
        version = find_version(self._store, pipeline, request.get("PipelineVersionId"))
        steps = list(iter_steps(definition_of(version)))
        types = {"Processing", "QualityCheck", "Training", "Tuning"}
        if any(step["Type"] in {"Endpoint", "Transform"} for step in steps):
            types.add("Model")
        return {uri for step in steps if step["Type"] in types for uri in _images(step.get("Arguments"))}

    def prepare(self, pipeline: Document, request: Mapping[str, Any]) -> Start:
        """Check a request and return its start.

        :raises AwsError: the version, parameters or selection do not allow it.
        """
        version = find_version(self._store, pipeline, request.get("PipelineVersionId"))
        definition = definition_of(version)
        # A stub that was declared when the pipeline was created may be gone.
        for problem in unsupported(definition, self._services.stubs.types):
            raise ValidationError(f"The pipeline cannot be started: {problem}")
        config = request.get("SelectiveExecutionConfig")
        reused = (
            reused_steps(self._store, Graph(definition), pipeline["PipelineArn"], config) if config else []
        )
        values = parameter_values(definition, request.get("PipelineParameters") or ())
        fields = {
            **_optional_fields(pipeline, request),
            "PipelineVersionId": version["PipelineVersionId"],
            "_parameters": values,
        }
        execution = _new_execution(pipeline["PipelineArn"], fields)
        experiment = _experiment(definition, execution)
        if experiment:
            execution["PipelineExperimentConfig"] = experiment
        return Start(execution, definition, reused)

    def write(self, start: Start, request: Mapping[str, Any]) -> None:
        """Store the execution and its token in one transaction."""
        arn, parent = start.execution["PipelineExecutionArn"], start.execution["PipelineArn"]
        record = ExecutionRecord(self._services, arn)
        with self._store.transaction():
            self._store.insert(EXECUTION, arn, start.execution, parent=parent)
            for document in start.reused:
                record.reuse_step(document)
            token = {"PipelineExecutionArn": arn, "_fingerprint": _fingerprint(request)}
            self._store.insert(START_TOKEN, _token_key(parent, request), token, parent=parent)
            self._store.update(PIPELINE, pipeline_key(parent), LastRunTime=start.execution["CreationTime"])
            key = version_key(parent, start.execution["PipelineVersionId"])
            self._store.update(VERSION, key, LastExecutionPipelineExecutionArn=arn)


def _new_execution(pipeline_arn: str, fields: Mapping[str, Any]) -> Document:
    now = time.time()
    identifier = "".join(secrets.choice(_ID_ALPHABET) for _ in range(12))
    return {
        "PipelineArn": pipeline_arn,
        "PipelineExecutionArn": f"{pipeline_arn}/execution/{identifier}",
        "PipelineExecutionDisplayName": f"execution-{int(now * 1000)}",
        "PipelineExecutionStatus": "Executing",
        "CreationTime": now,
        "LastModifiedTime": now,
        "CreatedBy": {},
        "LastModifiedBy": {},
        **fields,
    }


def _optional_fields(pipeline: Document, request: Mapping[str, Any]) -> dict[str, Any]:
    fields = {
        "PipelineExecutionDisplayName": request.get("PipelineExecutionDisplayName"),
        "PipelineExecutionDescription": request.get("PipelineExecutionDescription"),
        "ParallelismConfiguration": request.get("ParallelismConfiguration")
        or pipeline.get("ParallelismConfiguration"),
        "SelectiveExecutionConfig": request.get("SelectiveExecutionConfig"),
    }
    return {key: value for key, value in fields.items() if value}


def _experiment(definition: Mapping[str, Any], execution: Document) -> dict[str, str]:
    """Return the names of experiment and trial, by default those of the pipeline and the execution."""
    config = definition.get("PipelineExperimentConfig") or {}
    scope = Scope(
        parameters=typed_values(definition, execution["_parameters"]),
        execution=execution_variables(execution, ""),
        properties={},
        property_files={},
        read=_no_object,
    )
    try:
        names = {key: str(value) for key, value in Resolver(scope).resolve(config).items()}
    except ResolutionError as error:
        raise ValidationError(f"Invalid PipelineExperimentConfig: {error}") from error
    # The form of each name; both have the same.
    for name in names.values():
        validate("CreateExperiment", {"ExperimentName": name})
    return names


def _no_object(uri: str) -> bytes:
    raise ResolutionError(f"{uri} cannot be read before the execution has started.")


def _token_key(pipeline_arn: str, request: Mapping[str, Any]) -> str:
    return f"{pipeline_arn}/{request['ClientRequestToken']}"


def _fingerprint(request: Mapping[str, Any]) -> str:
    return fingerprint({key: value for key, value in request.items() if key != "PipelineName"})


def _images(value: Any) -> Iterator[str]:
    """Yield the images in the arguments of a step; what an expression names is left out."""
    if isinstance(value, list):
        for item in value:
            yield from _images(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key in {"Image", "ImageUri", "TrainingImage"} and isinstance(item, str):
                yield item
            else:
                yield from _images(item)
