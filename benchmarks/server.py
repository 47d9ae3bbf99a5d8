"""The overhead of the local runtime: describe calls per second compared with moto, and an empty step."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
from moto.server import ThreadedMotoServer  # noqa: TID253 - the runtime is compared with it

from sagemaker_local_runtime.settings import Settings
from sagemaker_local_runtime.testing import RuntimeProcess

CALLS = 500
STEPS = 10
GOAL_MILLISECONDS = 60
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.9-0"
_MOTO = "import sys; from moto.server import main; main(['-p', sys.argv[1]])"


def main() -> None:
    """Print both measurements."""
    with tempfile.TemporaryDirectory() as folder:
        runtime = RuntimeProcess(Settings(data_dir=Path(folder), port=0))
        try:
            own, stock = _calls_a_second(runtime.endpoint_url), _with_moto(_calls_a_second)
            print("DescribePipelineExecution, one client (goal: no slower than moto)")
            print(f"  {'the local runtime':<30} {own:7.0f} /s")
            print(f"  {'moto':<30} {stock:7.0f} /s")
            _print_steps(runtime)
        finally:
            runtime.close()


def _print_steps(runtime: RuntimeProcess) -> None:
    step = min(_step_milliseconds(runtime) for _ in range(3))
    process = statistics.median(_process_milliseconds() for _ in range(STEPS))
    print(f"an empty Processing step in a chain of {STEPS} (goal: {GOAL_MILLISECONDS} ms beyond the process)")
    print(f"  {'the process alone':<30} {process:7.0f} ms")
    print(f"  {'the step':<30} {step:7.0f} ms   {step - process:.0f} ms beyond")


def _calls_a_second(endpoint_url: str) -> float:
    sagemaker: Any = boto3.client(
        "sagemaker",
        endpoint_url=endpoint_url,
        region_name="us-east-1",
        aws_access_key_id="bench",
        aws_secret_access_key="bench",
    )
    fail = {"Name": "Fail", "Type": "Fail", "Arguments": {"ErrorMessage": "done"}}
    sagemaker.create_pipeline(
        PipelineName="bench",
        PipelineDefinition=json.dumps({"Version": "2020-12-01", "Steps": [fail]}),
        RoleArn="arn:aws:iam::123456789012:role/SageMakerExecutionRole",
    )
    arn = sagemaker.start_pipeline_execution(PipelineName="bench")["PipelineExecutionArn"]
    time.sleep(0.5)
    began = time.perf_counter()
    for _ in range(CALLS):
        sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
    return CALLS / (time.perf_counter() - began)


def _with_moto(measure: Callable[[str], float]) -> float:
    """Measure unmodified moto in its own process, like the local runtime."""
    probe = ThreadedMotoServer(port=0, verbose=False)
    probe.start()
    port = probe.get_host_and_port()[1]
    probe.stop()
    process = subprocess.Popen(
        [sys.executable, "-c", _MOTO, str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        time.sleep(4)
        return measure(f"http://127.0.0.1:{port}")
    finally:
        process.terminate()
        process.wait()


def _step_milliseconds(runtime: RuntimeProcess) -> float:
    """Return the mean time of an empty step in a chain of them."""
    arguments = {
        "AppSpecification": {"ImageUri": IMAGE, "ContainerEntrypoint": ["python3", "-c", "pass"]},
        "ProcessingResources": {
            "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}
        },
        "RoleArn": runtime.role_arn,
    }
    steps = [
        {
            "Name": f"Step{number}",
            "Type": "Processing",
            "Arguments": arguments,
            **({"DependsOn": [f"Step{number - 1}"]} if number else {}),
        }
        for number in range(STEPS)
    ]
    execution = runtime.execute({"Version": "2020-12-01", "Steps": steps})
    if execution["PipelineExecutionStatus"] != "Succeeded":
        raise SystemExit(f"the chain did not succeed: {execution}")
    seconds = (execution["LastModifiedTime"] - execution["CreationTime"]).total_seconds()
    return float(1000 * seconds / STEPS)


def _process_milliseconds() -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return 1000 * (time.perf_counter() - began)
