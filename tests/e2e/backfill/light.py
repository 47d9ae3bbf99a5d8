"""The definition of the light DAG's pipeline: the mean of a partition's last column, times a factor."""

from __future__ import annotations

from typing import Any

from sagemaker_pipelines.definition import Envelope
from stack.run import DEFINITION

# It sleeps, so that more than the quota of executions are wanted at once, and some can be stopped.
SCRIPT = b"""
import json, os, pathlib, time
rows = [line.split(",") for path in pathlib.Path("/opt/ml/processing/input/data").iterdir()
        for line in path.read_text().split()]
time.sleep(float(os.environ["SECONDS"]))
value = float(os.environ["FACTOR"]) * sum(float(row[-1]) for row in rows) / len(rows)
report = {"regression_metrics": {"mse": {"value": value}}}
pathlib.Path("/opt/ml/processing/report/evaluation.json").write_text(json.dumps(report))
"""


def light_definition(code_uri: str, role_arn: str) -> dict[str, Any]:
    """Return a definition of one Processing step and a gate that lets everything pass.

    :param code_uri: where :data:`SCRIPT` is.
    """
    image = Envelope.load(DEFINITION).images["sklearn"]["us-east-1"]
    process = {
        "Name": "Mean",
        "Type": "Processing",
        "Arguments": {
            "AppSpecification": {
                "ImageUri": image,
                "ContainerEntrypoint": ["python3", "/opt/ml/processing/input/code/mean.py"],
            },
            "Environment": {"FACTOR": _text("Factor"), "SECONDS": _text("Seconds")},
            "ProcessingInputs": [
                _input("data", {"Get": "Parameters.InputData"}),
                _input("code", code_uri),
            ],
            "ProcessingOutputConfig": {"Outputs": [_output()]},
            "ProcessingResources": {
                "ClusterConfig": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 1}
            },
            "RoleArn": role_arn,
        },
        "PropertyFiles": [
            {"PropertyFileName": "Report", "OutputName": "report", "FilePath": "evaluation.json"}
        ],
    }
    mean = {
        "Std:JsonGet": {
            "PropertyFile": {"Get": "Steps.Mean.PropertyFiles.Report"},
            "Path": "regression_metrics.mse.value",
        }
    }
    gate = {"Type": "LessThanOrEqualTo", "LeftValue": mean, "RightValue": 1000.0}
    return {
        "Version": "2020-12-01",
        "Parameters": [
            {"Name": "InputData", "Type": "String"},
            {"Name": "OutputPrefix", "Type": "String"},
            {"Name": "Factor", "Type": "Float", "DefaultValue": 1.0},
            {"Name": "Seconds", "Type": "Integer", "DefaultValue": 8},
        ],
        "Steps": [
            process,
            {
                "Name": "Gate",
                "Type": "Condition",
                "Arguments": {"Conditions": [gate], "IfSteps": [], "ElseSteps": []},
            },
        ],
    }


def _text(parameter: str) -> dict[str, Any]:
    return {"Std:Join": {"On": "", "Values": [{"Get": f"Parameters.{parameter}"}]}}


def _input(name: str, uri: Any) -> dict[str, Any]:
    return {
        "InputName": name,
        "S3Input": {
            "S3Uri": uri,
            "LocalPath": f"/opt/ml/processing/input/{name}",
            "S3DataType": "S3Prefix",
            "S3InputMode": "File",
        },
    }


def _output() -> dict[str, Any]:
    values = [{"Get": "Parameters.OutputPrefix"}, {"Get": "Execution.PipelineExecutionId"}]
    return {
        "OutputName": "report",
        "S3Output": {
            "S3Uri": {"Std:Join": {"On": "/", "Values": values}},
            "LocalPath": "/opt/ml/processing/report",
            "S3UploadMode": "EndOfJob",
        },
    }
