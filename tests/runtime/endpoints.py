"""Models and endpoints of the tests, created over HTTP."""

from __future__ import annotations

import io
import tarfile
from typing import Any

from sagemaker_local_runtime.testing_client import Endpoint
from tests.waiting import until

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.9-0-cpu-py3"
# Answers what the payload asks for.
SCRIPT = """
import json, os, time
VERSION = "{version}"

def model_fn(folder):
    return VERSION

def input_fn(body, content_type):
    return body, content_type

def predict_fn(data, model):
    body, content_type = data
    if body == "fail":
        raise ValueError("no such customer")
    if body == "die":
        os._exit(3)
    if body == "sleep":
        time.sleep(3600)
    if body == "environment":
        return json.dumps(dict(os.environ))
    if body == "pid":
        return str(os.getpid())
    if body == "look":
        return json.dumps(os.listdir({data_dir!r}))
    return f"{{model}} {{content_type}} {{body}}"

def output_fn(prediction, accept):
    return prediction, accept
"""


def model_archive(files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


def create_model(runtime: Endpoint, name: str, script: str | None = None) -> str:
    """Create a model with an inference script, by default one that answers with the model's name."""
    script = script or SCRIPT.format(version=name, data_dir=str(runtime.settings.data_dir))
    container = {
        "Image": IMAGE,
        "ModelDataUrl": runtime.put(f"{name}/model.tar.gz", model_archive({"code/inference.py": script})),
        "Environment": {"MODEL": name},
    }
    runtime.client("sagemaker").create_model(
        ModelName=name, PrimaryContainer=container, ExecutionRoleArn=runtime.role_arn
    )
    return name


def create_config(runtime: Endpoint, name: str, *models: str, **fields: Any) -> str:
    """Create an endpoint configuration with a variant for each model."""
    variants = [
        {"VariantName": model, "ModelName": model, "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
        for model in models
    ]
    runtime.client("sagemaker").create_endpoint_config(
        EndpointConfigName=name, ProductionVariants=variants, **fields
    )
    return name


def settled(runtime: Endpoint, name: str) -> dict[str, Any]:
    """Wait until an endpoint is not being changed, and return its description."""
    sagemaker = runtime.client("sagemaker")

    def final() -> Any:
        found = sagemaker.describe_endpoint(EndpointName=name)
        return found if found["EndpointStatus"] in ("InService", "Failed") else None

    found: dict[str, Any] = until(final, f"the endpoint {name}")
    return found


def serve(runtime: Endpoint, name: str, script: str | None = None) -> dict[str, Any]:
    """Create an endpoint that serves one model of the same name, and return its description."""
    create_config(runtime, name, create_model(runtime, name, script))
    runtime.client("sagemaker").create_endpoint(EndpointName=name, EndpointConfigName=name)
    return settled(runtime, name)


def ask(runtime: Endpoint, name: str, body: str = "x", **request: Any) -> str:
    answer = runtime.client("sagemaker-runtime").invoke_endpoint(
        **{"EndpointName": name, "Body": body, "ContentType": "text/csv", **request}
    )
    return str(answer["Body"].read().decode())
