"""Give every job of a definition the environment's KMS key, VPC and tags.

The settings only fill in what is absent; they do not replace what a step sets itself.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from sagemaker_pipelines.definition.document import iter_steps
from sagemaker_pipelines.exceptions import DefinitionError

_PROCESSING = ["Processing", "ClarifyCheck", "QualityCheck"]
_TUNED = ["TrainingJobDefinition", "TrainingJobDefinitions"]

#: The paths in a job's arguments, by type, that name the KMS key of its outputs and volumes.
#: The last part of a path is written only if the part before it exists. In a list, it is in every item.
KMS_KEYS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(
        _PROCESSING,
        ("ProcessingOutputConfig.KmsKeyId", "ProcessingResources.ClusterConfig.VolumeKmsKeyId"),
    ),
    "Training": ("OutputDataConfig.KmsKeyId", "ResourceConfig.VolumeKmsKeyId"),
    "Transform": (
        "TransformOutput.KmsKeyId",
        "TransformResources.VolumeKmsKeyId",
        "DataCaptureConfig.KmsKeyId",
    ),
    "Tuning": tuple(
        f"{parent}.{path}"
        for parent in _TUNED
        for path in (
            "OutputDataConfig.KmsKeyId",
            "ResourceConfig.VolumeKmsKeyId",
            "HyperParameterTuningResourceConfig.VolumeKmsKeyId",
        )
    ),
    "AutoML": ("OutputDataConfig.KmsKeyId", "AutoMLJobConfig.SecurityConfig.VolumeKmsKeyId"),
    "EndpointConfig": (
        "KmsKeyId",
        "DataCaptureConfig.KmsKeyId",
        "AsyncInferenceConfig.OutputConfig.KmsKeyId",
    ),
}

#: The paths in a job's arguments, by type, that name its VPC. A transform job runs in the VPC of its model.
VPC_CONFIGS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(_PROCESSING, ("NetworkConfig.VpcConfig",)),
    "Training": ("VpcConfig",),
    "Model": ("VpcConfig",),
    "Tuning": tuple(f"{parent}.VpcConfig" for parent in _TUNED),
    "AutoML": ("AutoMLJobConfig.SecurityConfig.VpcConfig",),
}

# These may be created: a job does not need anything else in them.
_CREATED = frozenset({"NetworkConfig", "AutoMLJobConfig", "SecurityConfig"})

#: Types whose Create call accepts tags. A model package in a group accepts none: it has those of its group.
TAGGED = frozenset(
    {
        *_PROCESSING,
        *("AutoML", "Endpoint", "EndpointConfig", "InferenceComponent", "Job"),
        *("Model", "Training", "Transform", "Tuning"),
    }
)


def with_job_settings(
    definition: Mapping[str, Any],
    *,
    kms_key_id: str | None = None,
    vpc_config: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | Sequence[Mapping[str, str]] | None = None,
) -> dict[str, Any]:
    """Return a copy of a definition whose jobs have the environment's settings.

    :param definition: the definition as parsed JSON.
    :param kms_key_id: the KMS key for the outputs of jobs and for their volumes.
    :param vpc_config: ``{"SecurityGroupIds": [...], "Subnets": [...]}``.
    :param tags: name to value, or ``[{"Key": ..., "Value": ...}]``; a step's own tag with the same key takes
        precedence.
    :raises DefinitionError: a step runs a job that cannot be given the key or the VPC.
    """
    changed = copy.deepcopy(dict(definition))
    for step in iter_steps(changed):
        kind, arguments = str(step.get("Type")), step.get("Arguments")
        if not isinstance(arguments, dict):
            continue
        if kind == "Job" and (kms_key_id or vpc_config):
            raise _not_given(step, kms_key_id, vpc_config)
        for paths, value in ((KMS_KEYS, kms_key_id), (VPC_CONFIGS, vpc_config)):
            for path in paths.get(kind, ()) if value else ():
                _set_default(arguments, path, value)
        # What is not a list is refused by the linter, after this.
        if tags and kind in TAGGED and isinstance(arguments.get("Tags", []), list):
            arguments["Tags"] = _merged(arguments.get("Tags", []), tags)
    return changed


def _set_default(arguments: dict[str, Any], path: str, value: Any) -> None:
    parent, _, rest = path.partition(".")
    if not rest:
        arguments.setdefault(parent, copy.deepcopy(value))
        return
    child = arguments.setdefault(parent, {}) if parent in _CREATED else arguments.get(parent)
    for each in child if isinstance(child, list) else [child]:
        if isinstance(each, dict):
            _set_default(each, rest, value)


def _not_given(
    step: Mapping[str, Any], kms_key_id: str | None, vpc_config: Mapping[str, Any] | None
) -> DefinitionError:
    settings = ["kms_key_id"] * bool(kms_key_id) + ["security_group_ids and subnet_ids"] * bool(vpc_config)
    return DefinitionError(
        f"Job step {step.get('Name')!r} cannot be given the environment's {', '.join(settings)}, because its "
        "JobConfigDocument has its own form for each category of jobs; expected a definition whose jobs all "
        "can. Deploy it with a connection that does not have these settings, or leave the step out."
    )


def _merged(
    own: list[dict[str, Any]], tags: Mapping[str, str] | Sequence[Mapping[str, str]]
) -> list[dict[str, Any]]:
    given = (
        [{"Key": key, "Value": value} for key, value in tags.items()]
        if isinstance(tags, Mapping)
        else [dict(tag) for tag in tags]
    )
    names = {tag.get("Key") for tag in own if isinstance(tag, dict)}
    return [*own, *(tag for tag in given if tag["Key"] not in names)]
