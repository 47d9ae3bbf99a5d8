"""The definition of the mirrored DAGs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.9-0"
# The first run of "once" fails, and the file tells the second one.
SCRIPT = """case $0 in
sleep) sleep 3600 ;;
fail) echo the work broke >&2; exit 1 ;;
once) test -e $1 || { touch $1; echo the work broke >&2; exit 1; } ;;
esac"""


def _parameter(name: str, default: str) -> dict[str, Any]:
    return {"Name": name, "Type": "String", "DefaultValue": default}


def _value(name: str) -> dict[str, str]:
    return {"Get": f"Parameters.{name}"}


def definition(queue_url: str) -> dict[str, Any]:
    """Return the definition.

    :param queue_url: the queue of its Callback step.
    """
    work: dict[str, Any] = {
        "Name": "Work",
        "Type": "Processing",
        "Arguments": {
            "AppSpecification": {
                "ImageUri": IMAGE,
                "ContainerEntrypoint": ["bash", "-c", SCRIPT],
                "ContainerArguments": [_value("Mode"), _value("Marker")],
            },
            "ProcessingResources": {
                "ClusterConfig": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 1}
            },
            "RoleArn": "${role_arn}",
        },
        "CacheConfig": {"Enabled": True, "ExpireAfter": "P1D"},
    }
    hold = {"Name": "Hold", "Type": "Callback", "SqsQueueUrl": queue_url, "Arguments": {}}
    held = {"Type": "Equals", "LeftValue": _value("Ask"), "RightValue": "yes"}
    ask = {
        "Name": "Ask",
        "Type": "Condition",
        "DependsOn": ["Work"],
        "Arguments": {"Conditions": [held], "IfSteps": [hold], "ElseSteps": []},
    }
    report: dict[str, Any] = {**work, "Name": "Report", "DependsOn": [{"Step": "Work", "Trigger": "Failed"}]}
    report["Arguments"] = {**work["Arguments"]}
    report["Arguments"]["AppSpecification"] = {"ImageUri": IMAGE, "ContainerEntrypoint": ["true"]}
    return {
        "Version": "2020-12-01",
        "Metadata": {},
        "Parameters": [_parameter("Mode", "good"), _parameter("Marker", "none"), _parameter("Ask", "no")],
        "Steps": [work, ask, report],
    }


def write(path: Path, queue_url: str) -> None:
    """Write the compiled definition."""
    envelope = {
        "envelope_version": 1,
        "name": "mirrored",
        "description": "Work, and perhaps a question.",
        "definition": definition(queue_url),
        "images": {},
        "assets": [],
        "placeholders": ["role_arn"],
        "annotations": {},
    }
    path.write_text(json.dumps(envelope))
