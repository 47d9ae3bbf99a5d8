"""Definitions for the engine's tests."""

from __future__ import annotations

from typing import Any


def processing(name: str, *depends_on: Any, **arguments: Any) -> dict[str, Any]:
    step: dict[str, Any] = {
        "Name": name,
        "Type": "Processing",
        "Arguments": {
            "AppSpecification": {"ImageUri": "image"},
            "ProcessingResources": {
                "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 30}
            },
            "RoleArn": "arn:aws:iam::123456789012:role/r",
            **arguments,
        },
    }
    if depends_on:
        step["DependsOn"] = list(depends_on)
    return step


def condition(
    name: str, conditions: list[Any], if_steps: list[Any], else_steps: list[Any], *depends_on: Any
) -> dict[str, Any]:
    arguments = {"Conditions": conditions, "IfSteps": if_steps, "ElseSteps": else_steps}
    step: dict[str, Any] = {"Name": name, "Type": "Condition", "Arguments": arguments}
    if depends_on:
        step["DependsOn"] = list(depends_on)
    return step


def fail_step(name: str, message: Any, *depends_on: Any) -> dict[str, Any]:
    step: dict[str, Any] = {"Name": name, "Type": "Fail", "Arguments": {"ErrorMessage": message}}
    if depends_on:
        step["DependsOn"] = list(depends_on)
    return step


def pipeline(*steps: dict[str, Any], parameters: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return {"Version": "2020-12-01", "Metadata": {}, "Parameters": parameters or [], "Steps": list(steps)}


def get(reference: str) -> dict[str, str]:
    return {"Get": reference}
