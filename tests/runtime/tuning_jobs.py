"""Tuning jobs for the tests: a training program whose metric the hyperparameters decide."""

from __future__ import annotations

from typing import Any

from sagemaker_local_runtime.testing import LocalRuntime
from sagemaker_local_runtime.testing_client import Endpoint

PROGRAM = """
import json, os, time
values = json.load(open("/opt/ml/input/config/hyperparameters.json"))
if values["mode"] == "sleep":
    time.sleep(3600)
if values["mode"] == "fail":
    print("the rate is wrong", flush=True)
    raise SystemExit(3)
if values["mode"] == "look":
    data = os.listdir(values["data"]) if os.path.isdir(values["data"]) else []
    seen = {"environment": dict(os.environ), "data": data}
    json.dump(seen, open("/opt/ml/model/seen.json", "w"))
if values["mode"] in ("look", "work"):
    print("loss=%s" % (float(values["rate"]) ** 2))
open("/opt/ml/model/rate", "w").write(values["rate"])
"""


def tuning_request(runtime: LocalRuntime, mode: str = "work", **config: Any) -> dict[str, Any]:
    """Return a request without a name; what the training jobs do is `mode`."""
    image = runtime.local_image("tuned", train=["python3", "-c", PROGRAM])
    return request_for(runtime, image, {"mode": mode}, **config)


def request_for(runtime: Endpoint, image: str, static: dict[str, str], **config: Any) -> dict[str, Any]:
    """Return a request without a name for training jobs of an image."""
    return {
        "HyperParameterTuningJobConfig": {
            "Strategy": "Grid",
            "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "loss"},
            "ResourceLimits": {"MaxParallelTrainingJobs": 2},
            "ParameterRanges": {"CategoricalParameterRanges": [{"Name": "rate", "Values": ["3", "1", "2"]}]},
            **config,
        },
        "TrainingJobDefinition": {
            "StaticHyperParameters": static,
            "AlgorithmSpecification": {
                "TrainingImage": image,
                "TrainingInputMode": "File",
                "MetricDefinitions": [{"Name": "loss", "Regex": "loss=([0-9.]+)"}],
            },
            "RoleArn": runtime.role_arn,
            "OutputDataConfig": {"S3OutputPath": f"s3://{runtime.bucket}/models"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 1},
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        },
    }


def tuning_step(
    runtime: LocalRuntime, name: str = "Tune", mode: str = "work", **fields: Any
) -> dict[str, Any]:
    """Return a Tuning step."""
    return {"Name": name, "Type": "Tuning", "Arguments": tuning_request(runtime, mode), **fields}
