"""Step caching: the result of an earlier success with the same inputs is used again.

https://docs.aws.amazon.com/sagemaker/latest/dg/pipelines-caching.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sagemaker_local_runtime.store import Document, Store, fingerprint
from sagemaker_pipelines.definition.document import value_at

# By step type, the dotted paths of the arguments whose change causes a new run; outputs do not.
# Those that AWS's list does not name have all of their inputs; SDK 3.27 calls EndpointConfig and Endpoint
# steps cacheable.
# https://docs.aws.amazon.com/sagemaker/latest/dg/pipelines-default-keys.html
KEY_ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    "Endpoint": (),
    "EndpointConfig": (),
    "Lambda": (),
    "Processing": ("AppSpecification", "Environment", "ProcessingInputs"),
    "QualityCheck": (
        "AppSpecification",
        "Environment",
        "NetworkConfig",
        "ProcessingInputs",
        "ProcessingResources",
        "RoleArn",
        "StoppingCondition",
        "Tags",
    ),
    "Training": (
        "AlgorithmSpecification",
        "CheckpointConfig",
        "DebugHookConfig",
        "DebugRuleConfigurations",
        "Environment",
        "HyperParameters",
        "InputDataConfig",
    ),
    "Transform": ("DataProcessing", "Environment", "ModelName", "TransformInput"),
    "Tuning": (
        "HyperParameterTuningJobConfig",
        "TrainingJobDefinition.AlgorithmSpecification",
        "TrainingJobDefinition.HyperParameterRanges",
        "TrainingJobDefinition.InputDataConfig",
        "TrainingJobDefinition.StaticHyperParameters",
        "TrainingJobDefinition.TuningObjective",
        "TrainingJobDefinitions",
    ),
}
# The same for the step's own members. A Lambda step has all of its inputs and its function: AWS's list does
# not name those of this type. That list has the whole QualityCheckConfig, thus also the place of the output,
# which usually differs in each execution: here as everywhere, it is left out.
_KEY_MEMBERS: Mapping[str, tuple[str, ...]] = {
    "Endpoint": ("Arguments",),
    "EndpointConfig": ("Arguments",),
    "Lambda": ("Arguments", "FunctionArn"),
    "QualityCheck": (
        "CheckType",
        "ModelPackageGroupName",
        "RegisterNewBaseline",
        "SkipCheck",
        "SuppliedBaselineConstraints",
        "SuppliedBaselineStatistics",
    ),
}

# What such a step leaves may be deleted or changed by others: its kind and key in the store, and what must
# still be the same.
_RESOURCES: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "Endpoint": ("endpoint", "EndpointName", ("CreationTime", "EndpointConfigName", "EndpointStatus")),
    "EndpointConfig": ("endpoint-config", "EndpointConfigName", ("CreationTime",)),
}

# ISO 8601, and the shorter forms in the documentation: "30d", "T16m", "30dT5h".
_DURATION = re.compile(
    r"P?(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?", re.IGNORECASE
)
_DAY = 86_400
_SECONDS = (365 * _DAY, 30 * _DAY, 7 * _DAY, _DAY, 3_600, 60, 1)


def duration_seconds(text: str) -> int:
    """Return the number of seconds of an ``ExpireAfter``.

    :raises ValueError: it is not a duration.
    """
    match = _DURATION.fullmatch(text)
    amounts = match.groups() if match else ()
    if not any(amounts):
        raise ValueError(f"ExpireAfter {text!r} is not an ISO 8601 duration such as 'P30D' or 'PT1H'.")
    return sum(int(amount or 0) * unit for amount, unit in zip(amounts, _SECONDS, strict=True))


def is_cached(step: Mapping[str, Any]) -> bool:
    """Return whether a step enables caching and its type supports it."""
    return bool((step.get("CacheConfig") or {}).get("Enabled")) and step["Type"] in KEY_ARGUMENTS


class StepCache:
    """The latest success of each step of a pipeline, by its inputs.

    :param store: where the successes are kept.
    :param pipeline_arn: the pipeline; pipelines never share a cache.
    """

    _KIND = "step-cache"

    def __init__(self, store: Store, pipeline_arn: str) -> None:
        self._store = store
        self._pipeline_arn = pipeline_arn

    def find(self, step: Mapping[str, Any], arguments: Mapping[str, Any], now: float) -> Document | None:
        """Return the document of an unexpired success of the step with these inputs, or None."""
        entry = self._store.get(self._KIND, self._key(step, arguments))
        if entry is None:
            return None
        expiry = step["CacheConfig"].get("ExpireAfter")
        if expiry is not None and now - entry["EndTime"] > duration_seconds(expiry):
            return None
        found = self._store.get("execution-step", entry["_step_key"])
        return found if found is None or self._still_serves(step["Type"], found["_properties"]) else None

    def _still_serves(self, kind: str, properties: Mapping[str, Any]) -> bool:
        """Return whether what an EndpointConfig or Endpoint step has deployed is still there and the same."""
        if kind not in _RESOURCES:
            return True
        store_kind, name, fields = _RESOURCES[kind]
        now = self._store.get(store_kind, str(properties.get(name))) or {}
        return all(now.get(field) == properties.get(field) for field in fields)

    def put(self, step: Mapping[str, Any], arguments: Mapping[str, Any], step_key: str, now: float) -> None:
        """Store a success, replacing an earlier one with the same inputs."""
        key = self._key(step, arguments)
        with self._store.transaction():
            self._store.delete(self._KIND, key)
            self._store.insert(
                self._KIND, key, {"_step_key": step_key, "EndTime": now}, parent=self._pipeline_arn
            )

    def _key(self, step: Mapping[str, Any], arguments: Mapping[str, Any]) -> str:
        kind = step["Type"]
        inputs = {path: value_at(arguments, path) for path in KEY_ARGUMENTS[kind]}
        inputs |= {name: step.get(name) for name in _KEY_MEMBERS.get(kind, ())}
        return f"{self._pipeline_arn}/{step['Name']}/{fingerprint(inputs)}"
