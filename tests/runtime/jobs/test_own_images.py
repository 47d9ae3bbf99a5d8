"""Images of one's own: an environment and an entry point, or any local command."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sagemaker_local_runtime.exceptions import SettingsError
from sagemaker_local_runtime.settings import Settings
from sagemaker_local_runtime.testing import LocalRuntime, RuntimeProcess
from sagemaker_local_runtime.testing_client import Endpoint
from tests.wheels import Wheelhouse

CLUSTER = {"InstanceCount": 1, "InstanceType": "ml.m5.xlarge", "VolumeSizeInGB": 1}

TRAIN = """
    import grape, json, pathlib
    rate = json.load(open("/opt/ml/input/config/hyperparameters.json"))["rate"]
    pathlib.Path("/opt/ml/model/factor").write_text(rate)
    print("trained with grape", grape.VERSION)
"""
SERVE = """
    import os, sys
    from http.server import BaseHTTPRequestHandler, HTTPServer

    factor = float(open("/opt/ml/model/factor").read())

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.answer(200 if self.path == "/ping" else 404, b"")

        def do_POST(self):
            rows = self.rfile.read(int(self.headers["Content-Length"])).decode().split()
            if "bad" in rows:
                self.answer(400, b"cannot read bad")
            else:
                self.answer(200, "".join(f"{float(row) * factor}\\n" for row in rows).encode())

        def answer(self, status, body):
            self.send_response(status)
            self.send_header("Content-Type", "text/csv")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    assert os.environ["SAGEMAKER_BIND_TO_PORT"] == sys.argv[1]
    HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


@pytest.fixture
def image(wheelhouse: Wheelhouse, local_runtime: LocalRuntime, tmp_path: Path) -> str:
    """An image with a package, a training program and a server."""
    wheelhouse.add("grape", "1.0")
    for name, text in (("train.py", TRAIN), ("serve.py", SERVE)):
        (tmp_path / name).write_text(textwrap.dedent(text))
    return local_runtime.local_image(
        "churn:7",
        requirements=["grape==1.0"],
        train=["python", str(tmp_path / "train.py")],
        serve=["python", str(tmp_path / "serve.py"), "{port}"],
    )


def definition(runtime: LocalRuntime, image: str, rows: bytes = b"1\n2\n") -> dict[str, Any]:
    """Train with the image's own entry point, and score with its server."""
    data = runtime.put("rows/rows.csv", rows)
    train = {
        "RoleArn": runtime.role_arn,
        "AlgorithmSpecification": {"TrainingImage": image, "TrainingInputMode": "File"},
        "HyperParameters": {"rate": "2.5"},
        "OutputDataConfig": {"S3OutputPath": f"s3://{runtime.bucket}/models"},
        "ResourceConfig": CLUSTER,
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
    }
    artifact = {"Get": "Steps.Train.ModelArtifacts.S3ModelArtifacts"}
    model = {
        "ExecutionRoleArn": runtime.role_arn,
        "PrimaryContainer": {"Image": image, "ModelDataUrl": artifact},
    }
    source = {"S3DataType": "S3Prefix", "S3Uri": data}
    transform = {
        "ModelName": {"Get": "Steps.Create.ModelName"},
        "TransformInput": {
            "DataSource": {"S3DataSource": source},
            "ContentType": "text/csv",
            "SplitType": "Line",
        },
        "TransformOutput": {"S3OutputPath": f"s3://{runtime.bucket}/scores", "AssembleWith": "Line"},
        "TransformResources": {"InstanceCount": 1, "InstanceType": "ml.m5.xlarge"},
    }
    return {
        "Version": "2020-12-01",
        "Steps": [
            {"Name": "Train", "Type": "Training", "Arguments": train},
            {"Name": "Create", "Type": "Model", "Arguments": model},
            {"Name": "Score", "Type": "Transform", "Arguments": transform},
        ],
    }


def log_of(runtime: Endpoint, kind: str) -> str:
    jobs = runtime.settings.data_dir / "jobs" / kind
    return "".join(path.read_text() for path in jobs.glob("*/output.log"))


def test_an_own_image_trains_and_serves_with_its_own_programs(
    local_runtime: LocalRuntime, image: str
) -> None:
    execution = local_runtime.execute(definition(local_runtime, image))
    assert execution["PipelineExecutionStatus"] == "Succeeded", log_of(local_runtime, "transform")
    assert local_runtime.get(f"s3://{local_runtime.bucket}/scores/rows.csv.out") == b"2.5\n5.0\n"
    assert "churn:7 runs on Python 3." in log_of(local_runtime, "training")
    assert "trained with grape 1.0" in log_of(local_runtime, "training")


def test_what_the_server_answers_fails_the_job(local_runtime: LocalRuntime, image: str) -> None:
    execution = local_runtime.execute(definition(local_runtime, image, b"1\nbad\n"))
    steps = local_runtime.steps(execution["PipelineExecutionArn"])
    assert "ClientError: See job logs" in steps["Score"]["FailureReason"]
    assert "POST /invocations answered 400: cannot read bad" in log_of(local_runtime, "transform")


def test_a_server_that_ends_is_named_with_its_exit_code(
    local_runtime: LocalRuntime, wheelhouse: Wheelhouse
) -> None:
    wheelhouse.add("grape", "1.0")
    write = "import pathlib; pathlib.Path('/opt/ml/model/x').touch()"
    image = local_runtime.local_image("short", train=["python3", "-c", write], serve=["false"])
    execution = local_runtime.execute(definition(local_runtime, image))
    assert execution["PipelineExecutionStatus"] == "Failed"
    assert "['false'] ended with exit code 1 before GET /ping" in log_of(local_runtime, "transform")


def processing(runtime: Endpoint, image: str, **application: Any) -> dict[str, Any]:
    arguments = {
        "RoleArn": runtime.role_arn,
        "AppSpecification": {"ImageUri": image, **application},
        "ProcessingResources": {"ClusterConfig": CLUSTER},
    }
    return {
        "Version": "2020-12-01",
        "Steps": [{"Name": "Process", "Type": "Processing", "Arguments": arguments}],
    }


def test_any_local_command_is_an_entry_point(local_runtime: LocalRuntime) -> None:
    image = local_runtime.local_image("shell", process=["/bin/sh", "-c", 'echo "args $0 $1"'])
    execution = local_runtime.execute(processing(local_runtime, image, ContainerArguments=["a", "b"]))
    assert execution["PipelineExecutionStatus"] == "Succeeded"
    assert "args a b\n" in log_of(local_runtime, "processing")


def test_an_image_without_packages_has_none(local_runtime: LocalRuntime) -> None:
    image = local_runtime.local_image("bare", requirements=[], process=["python3", "-c", "import numpy"])
    execution = local_runtime.execute(processing(local_runtime, image))
    assert execution["PipelineExecutionStatus"] == "Failed"
    assert "No module named 'numpy'" in log_of(local_runtime, "processing")


def test_what_cannot_be_installed_refuses_the_start(
    local_runtime: LocalRuntime, wheelhouse: Wheelhouse
) -> None:
    """Nothing has started, and the message says what is missing and how to get it."""
    image = local_runtime.local_image("lost", requirements=["nowhere>=2"], process=["true"])
    name = local_runtime.create_pipeline(processing(local_runtime, image))
    sagemaker = local_runtime.client("sagemaker")
    with pytest.raises(ClientError, match="It needs nowhere>=2") as refused:
        sagemaker.start_pipeline_execution(PipelineName=name)
    assert refused.value.response["Error"]["Code"] == "ValidationException"
    assert f"sagemaker_local_runtime images build {image}" in str(refused.value)
    assert sagemaker.list_pipeline_executions(PipelineName=name)["PipelineExecutionSummaries"] == []


def test_a_wrong_key_of_an_entry_is_named(local_runtime: LocalRuntime) -> None:
    with pytest.raises(SettingsError, match=r"local_image\('x'\): unknown key 'requires'"):
        local_runtime.local_image("x", requires=["six"])


def test_the_images_file_is_an_option_of_the_command(tmp_path: Path) -> None:
    (tmp_path / "say.py").write_text("print('from the folder of images.toml')")
    images = tmp_path / "images.toml"
    images.write_text('[[image]]\nrepository = "own"\nprocess = ["python3", "{folder}/say.py"]\n')
    runtime = RuntimeProcess(Settings(data_dir=tmp_path / "runtime", port=0, images=images))
    try:
        execution = runtime.execute(processing(runtime, "1.dkr.ecr.us-east-1.amazonaws.com/own:1"))
        assert execution["PipelineExecutionStatus"] == "Succeeded"
        assert "from the folder of images.toml" in log_of(runtime, "processing")
    finally:
        runtime.close()


def test_a_mistake_in_the_images_file_is_an_error_at_start(tmp_path: Path) -> None:
    images = tmp_path / "images.toml"
    images.write_text("[[image]]\nname = 'own'\n")
    command = [sys.executable, "-m", "sagemaker_local_runtime", "--port", "0", "--images", str(images)]
    ended = subprocess.run(
        [*command, "--data-dir", str(tmp_path / "data")], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert f"{images}, entry 1: unknown key 'name'" in ended.stderr
