"""Give every job of a definition the environment's KMS key, VPC and tags.

The settings only fill in what is absent; they do not replace what a step sets itself.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from sagemaker_pipelines.definition.document import iter_steps

_PROCESSING = ["Processing", "ClarifyCheck", "QualityCheck"]

#: The paths in a job's arguments, by type, that name the KMS key of its outputs and volumes.
#: The last part of a path is written only if the part before it exists.
_KMS_KEYS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(
        _PROCESSING,
        ("ProcessingOutputConfig.KmsKeyId", "ProcessingResources.ClusterConfig.VolumeKmsKeyId"),
    ),
    "Training": ("OutputDataConfig.KmsKeyId", "ResourceConfig.VolumeKmsKeyId"),
    "Transform": ("TransformOutput.KmsKeyId", "TransformResources.VolumeKmsKeyId"),
    "Tuning": (
        "TrainingJobDefinition.OutputDataConfig.KmsKeyId",
        "TrainingJobDefinition.ResourceConfig.VolumeKmsKeyId",
    ),
    "AutoML": ("OutputDataConfig.KmsKeyId",),
    "EndpointConfig": ("KmsKeyId",),
}

#: The path in a job's arguments, by type, that names its VPC. A transform job runs in the VPC of its model.
_VPC_CONFIGS: Mapping[str, str] = {
    **dict.fromkeys(_PROCESSING, "NetworkConfig.VpcConfig"),
    "Training": "VpcConfig",
    "Model": "VpcConfig",
    "Tuning": "TrainingJobDefinition.VpcConfig",
}

#: Types whose Create call accepts tags. A model package in a group accepts none: it has those of its group.
_TAGGED = frozenset(
    {*_PROCESSING, "AutoML", "Endpoint", "EndpointConfig", "Model", "Training", "Transform", "Tuning"}
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
    """
    changed = copy.deepcopy(dict(definition))
    for step in iter_steps(changed):
        kind, arguments = str(step.get("Type")), step.get("Arguments")
        if not isinstance(arguments, dict):
            continue
        if kms_key_id:
            for path in _KMS_KEYS.get(kind, ()):
                _set_default(arguments, path, kms_key_id)
        if vpc_config and kind in _VPC_CONFIGS:
            _set_default(arguments, _VPC_CONFIGS[kind], copy.deepcopy(dict(vpc_config)))
        # What is not a list is refused by the linter, after this.
        if tags and kind in _TAGGED and isinstance(arguments.get("Tags", []), list):
            arguments["Tags"] = _merged(arguments.get("Tags", []), tags)
    return changed


def _set_default(arguments: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for parent in parents:
        # Only a network configuration may be created here: a job does not need anything else in it.
        child = arguments.setdefault(parent, {}) if parent == "NetworkConfig" else arguments.get(parent)
        if not isinstance(child, dict):
            return
        arguments = child
    arguments.setdefault(last, value)


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
