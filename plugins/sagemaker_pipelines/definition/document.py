"""Walk through the steps of a definition, in all its branches, and write its canonical text.

A definition is the JSON document of version 2020-12-01 as the SageMaker Python SDK emits it.
See https://docs.aws.amazon.com/sagemaker/latest/dg/build-and-manage-pipeline.html.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sagemaker_pipelines.exceptions import DefinitionError
from sagemaker_pipelines.reading import parse_portable_json

VERSION = "2020-12-01"

#: Every type of the SDK's ``StepTypeEnum`` (sagemaker 3.27.0) and of ``PipelineExecutionStepMetadata``
#: (botocore 1.43.117).
STEP_TYPES = frozenset(
    {
        "Athena",
        "AutoML",
        "BedrockCustomModel",
        "BedrockCustomModelDeployment",
        "BedrockModelImport",
        "BedrockProvisionedModelThroughput",
        "Callback",
        "ClarifyCheck",
        "Cleanup",
        "Condition",
        "EMR",
        "EMRServerless",
        "Endpoint",
        "EndpointConfig",
        "Fail",
        "ForEach",
        "InferenceComponent",
        "Job",
        "Lambda",
        "Lineage",
        "Model",
        "Processing",
        "QualityCheck",
        "RegisterModel",
        "Training",
        "Transform",
        "Tuning",
    }
)

#: The arguments of a step that contain other steps, by the type of the containing step.
BRANCHES: Mapping[str, tuple[str, ...]] = {
    "Condition": ("IfSteps", "ElseSteps"),
    "ForEach": ("ForEachBody",),
}


@dataclass(frozen=True)
class LocatedStep:
    """A step and its place in the definition.

    :param step: the step as it is in the definition.
    :param parent: name of the Condition or ForEach step that contains it, or None.
    :param branch: the argument of the parent that contains it (``IfSteps``), or None.
    """

    step: dict[str, Any]
    parent: str | None = None
    branch: str | None = None

    @property
    def name(self) -> str:
        """The step's name; empty if the step has none."""
        return str(self.step.get("Name", ""))


def locate_steps(definition: Mapping[str, Any]) -> Iterator[LocatedStep]:
    """Yield every step in the order of the document, a parent before its children."""
    yield from _locate(definition.get("Steps"), None, None)


def _locate(steps: Any, parent: str | None, branch: str | None) -> Iterator[LocatedStep]:
    if not isinstance(steps, list):
        return
    for step in steps:
        if not isinstance(step, dict):
            continue
        located = LocatedStep(step, parent, branch)
        yield located
        arguments = step.get("Arguments")
        if isinstance(arguments, dict):
            for key in BRANCHES.get(str(step.get("Type")), ()):
                yield from _locate(arguments.get(key), located.name, key)


def iter_steps(definition: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield every step of a definition, including those in the branches of a Condition.

    :param definition: the definition as parsed JSON.
    """
    for located in locate_steps(definition):
        yield located.step


def own_part(step: Mapping[str, Any]) -> dict[str, Any]:
    """Return the step without the steps that it contains."""
    held = BRANCHES.get(str(step.get("Type")), ())
    own = dict(step)
    if held and isinstance(step.get("Arguments"), dict):
        own["Arguments"] = {key: value for key, value in step["Arguments"].items() if key not in held}
    return own


def s3_data_types(value: Any, parameter: str) -> set[str]:
    """Return the ``S3DataType`` of every S3 source in a definition whose URI is a parameter.

    :param value: the definition, or a part of it.
    :param parameter: the parameter's name.
    """
    if isinstance(value, list):
        return {found for item in value for found in s3_data_types(item, parameter)}
    if not isinstance(value, Mapping):
        return set()
    own = {str(value["S3DataType"])} if "S3DataType" in value else set()
    if value.get("S3Uri") != {"Get": f"Parameters.{parameter}"}:
        own = set()
    return own | s3_data_types(list(value.values()), parameter)


def value_at(value: Any, path: str) -> Any:
    """Return the value at a dotted path in nested objects, or None."""
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def objects(value: Any) -> list[dict[str, Any]]:
    """Return the objects in a list; an empty list if the value is not a list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def canonical(definition: Mapping[str, Any]) -> str:
    """Return the definition as text that is the same for equal definitions.

    :param definition: the definition as parsed JSON.
    :return: JSON with sorted keys and an indent of two, with a newline at the end.
    """
    return json.dumps(definition, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def definition_hash(definition: Mapping[str, Any]) -> str:
    """Return the SHA-256 of the canonical definition, as 64 hexadecimal digits."""
    return hashlib.sha256(canonical(definition).encode()).hexdigest()


def parse_definition(text: str) -> dict[str, Any]:
    """Return a definition that AWS has returned as text.

    :raises DefinitionError: it is not a JSON object.
    """
    try:
        definition = parse_portable_json(text)
    except ValueError as error:
        raise DefinitionError(
            f"The deployed definition is not JSON: {error}. Upsert the pipeline again."
        ) from error
    if not isinstance(definition, dict):
        raise DefinitionError("The deployed definition is not a JSON object. Upsert the pipeline again.")
    return definition
