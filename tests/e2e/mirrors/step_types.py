"""A definition with functions, tuning, a loop and a clean-up, and a gate on what the test chooses."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zipfile
from pathlib import Path
from typing import Any

from tests.e2e.mirrors.pipeline import IMAGE

BEST = {"Get": "Steps.Tune.BestTrainingJob.FinalHyperParameterTuningJobObjectiveMetric.Value"}
SCORE = {"Get": "Steps.Judge.OutputParameters['score']"}
PREPARED = "s3://${artifact_bucket}/${name_prefix}prepared"
TRAIN = """import json, os
rate = json.load(open("/opt/ml/input/config/hyperparameters.json"))["rate"].strip('"')
print("loss=%s" % float(rate) ** 2)
open("/opt/ml/model/rate", "w").write(rate)
"""
FUNCTION = """def judge(event, context):
    print("judging", event["loss"])
    if event["mode"] == "fail":
        raise ValueError("nothing to judge")
    return {"score": 10 * event["loss"]}


def look(event, context):
    return {"seen": event["item"]}
"""


def _archive(*, tar: bool) -> bytes:
    buffer = io.BytesIO()
    if tar:
        with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
            member = tarfile.TarInfo("train.py")
            member.size = len(TRAIN)
            archive.addfile(member, io.BytesIO(TRAIN.encode()))
    else:
        with zipfile.ZipFile(buffer, "w") as target:
            target.writestr(zipfile.ZipInfo("code.py"), FUNCTION)
    return buffer.getvalue()


def _function_step(name: str, function: str, output: str, inputs: dict[str, Any]) -> dict[str, Any]:
    return {
        "Name": name,
        "Type": "Lambda",
        "FunctionArn": f"arn:aws:lambda:${{region}}:${{account_id}}:function:${{name_prefix}}{function}",
        "Arguments": inputs,
        "OutputParameters": [{"OutputName": output, "OutputType": "Float"}],
    }


def _prepare() -> dict[str, Any]:
    folder = "/opt/ml/processing/output"
    output = {
        "OutputName": "rows",
        "S3Output": {
            "S3Uri": PREPARED,
            "LocalPath": folder,
            "S3UploadMode": "EndOfJob",
        },
    }
    return {
        "Name": "Prepare",
        "Type": "Processing",
        "Arguments": {
            "AppSpecification": {
                "ImageUri": IMAGE,
                "ContainerEntrypoint": ["bash", "-c", f"echo 1 > {folder}/rows.csv"],
            },
            "ProcessingOutputConfig": {"Outputs": [output]},
            "ProcessingResources": {
                "ClusterConfig": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 1}
            },
            "RoleArn": "${role_arn}",
        },
    }


def _tune(source: str) -> dict[str, Any]:
    script = {"sagemaker_program": "train.py", "sagemaker_submit_directory": source}
    return {
        "Name": "Tune",
        "Type": "Tuning",
        "DependsOn": ["Prepare"],
        "Arguments": {
            "HyperParameterTuningJobConfig": {
                "Strategy": "Grid",
                "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "loss"},
                "ResourceLimits": {"MaxParallelTrainingJobs": 2},
                "ParameterRanges": {"CategoricalParameterRanges": [{"Name": "rate", "Values": ["2", "1"]}]},
            },
            "TrainingJobDefinition": {
                "StaticHyperParameters": script,
                "AlgorithmSpecification": {
                    "TrainingImage": IMAGE,
                    "TrainingInputMode": "File",
                    "MetricDefinitions": [{"Name": "loss", "Regex": "loss=([0-9.]+)"}],
                },
                "RoleArn": "${role_arn}",
                "OutputDataConfig": {"S3OutputPath": "s3://${artifact_bucket}/${name_prefix}tuned"},
                "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
                "StoppingCondition": {"MaxRuntimeInSeconds": 600},
            },
        },
    }


def definition(metric: dict[str, str], source: str) -> dict[str, Any]:
    """Return the definition.

    :param metric: what its gate compares with the threshold.
    :param source: the URI of the training code.
    """
    look = _function_step("Look", "look", "seen", {"item": {"Get": "ForEach.CurrentItem"}})
    tidy = {
        "Name": "Tidy",
        "Type": "Cleanup",
        "DependsOn": ["Prepare"],
        "Arguments": {"Resources": {"S3": [{"StepName": "Prepare", "S3Uris": [f"{PREPARED}/rows.csv"]}]}},
    }
    reject = {"Name": "Reject", "Type": "Fail", "Arguments": {"ErrorMessage": "too large"}}
    compared = {
        "Type": "LessThanOrEqualTo",
        "LeftValue": metric,
        "RightValue": {"Get": "Parameters.Threshold"},
    }
    return {
        "Version": "2020-12-01",
        "Metadata": {},
        "Parameters": [
            {"Name": "Threshold", "Type": "Float", "DefaultValue": 20.0},
            {"Name": "Mode", "Type": "String", "DefaultValue": "good"},
        ],
        "Steps": [
            _prepare(),
            _tune(source),
            _function_step("Judge", "judge", "score", {"loss": BEST, "mode": {"Get": "Parameters.Mode"}}),
            {
                "Name": "Each",
                "Type": "ForEach",
                "DependsOn": ["Judge"],
                "Arguments": {"IterableItems": [1, 2, 3], "MaxConcurrency": 2, "ForEachBody": [look]},
            },
            {
                "Name": "Gate",
                "Type": "Condition",
                "DependsOn": ["Each"],
                "Arguments": {"Conditions": [compared], "IfSteps": [tidy], "ElseSteps": [reject]},
            },
        ],
    }


def write(path: Path, metric: dict[str, str]) -> None:
    """Write the compiled definition and its assets; the pipeline is named after the file."""
    assets = []
    for name, content in (("source.tar.gz", _archive(tar=True)), ("code.zip", _archive(tar=False))):
        digest = hashlib.sha256(content).hexdigest()
        file = path.parent / "assets" / digest / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        assets.append({"name": name, "path": f"assets/{digest}/{name}", "sha256": digest})
    source, code = assets
    settings = {"Role": "${role_arn}", "Runtime": "python3.12", "Timeout": 60}
    functions = [
        {"name": name, "code": code["path"], "settings": {**settings, "Handler": f"code.{name}"}}
        for name in ("judge", "look")
    ]
    key = f"${{name_prefix}}assets/{source['sha256']}/{source['name']}"
    envelope = {
        "envelope_version": 1,
        "name": path.stem,
        "description": "Tune, judge, look, and tidy up.",
        "definition": definition(metric, f"s3://${{artifact_bucket}}/{key}"),
        "images": {},
        "assets": assets,
        "functions": functions,
        "placeholders": ["account_id", "artifact_bucket", "name_prefix", "region", "role_arn"],
        "annotations": {},
    }
    path.write_text(json.dumps(envelope))
