"""A runtime's job services on a real S3 and CloudWatch Logs endpoint, without the SageMaker server."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from moto.server import ThreadedMotoServer  # noqa: TID253 - it is the endpoint

from sagemaker_local_runtime.account import Account
from sagemaker_local_runtime.faults import FaultPlan
from sagemaker_local_runtime.jobs import JobService
from sagemaker_local_runtime.services.events import EventPublisher
from sagemaker_local_runtime.services.models import ModelRegistry
from sagemaker_local_runtime.services.storage import Storage
from sagemaker_local_runtime.settings import Settings
from sagemaker_local_runtime.tuning.service import TuningService

if TYPE_CHECKING:
    from sagemaker_local_runtime.runtime import Runtime

BUCKET = "job-tests"
SKLEARN = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.9-0-cpu-py3"
XGBOOST = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:3.2-0"
ROLE = "arn:aws:iam::123456789012:role/SageMakerExecutionRole"

ROOT = Path(__file__).parents[3]


class JobRuntime:
    """The services that run jobs, without the server, the engine and the schedules."""

    def __init__(self, settings: Settings, endpoint_url: str) -> None:
        self.account = Account(settings, endpoint_url)
        self.faults = FaultPlan()
        self.storage = Storage(self.account)
        self.models = ModelRegistry(self.account, self.storage, EventPublisher(self.account))
        self.jobs = JobService(self.account, self.storage, self.models, self.faults)
        self.tuning = TuningService(self.account, self.jobs, self.faults)


StartRuntime = Callable[..., JobRuntime]


@pytest.fixture(scope="session")
def endpoint_url() -> Iterator[str]:
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    _host, port = server.get_host_and_port()
    yield f"http://127.0.0.1:{port}"
    server.stop()


@pytest.fixture
def start_runtime(endpoint_url: str, tmp_path: Path) -> Iterator[StartRuntime]:
    started: list[JobRuntime] = []

    def start(**settings: Any) -> JobRuntime:
        data_dir = tmp_path / f"data-{len(started)}"
        data_dir.mkdir()
        runtime = JobRuntime(Settings(**{"data_dir": data_dir, **settings}), endpoint_url)
        runtime.account.client("s3").create_bucket(Bucket=BUCKET)
        started.append(runtime)
        return runtime

    yield start
    for runtime in started:
        runtime.jobs.shutdown()
        runtime.account.store.close()


@pytest.fixture
def runtime(start_runtime: StartRuntime) -> JobRuntime:
    return start_runtime()


@pytest.fixture(params=["namespace", pytest.param("rewrite", marks=pytest.mark.thorough)])
def either_isolation(request: pytest.FixtureRequest, start_runtime: StartRuntime) -> JobRuntime:
    return start_runtime(isolation=request.param)


def processing_request(
    runtime: JobRuntime | Runtime, name: str, script: str, **changes: Any
) -> dict[str, Any]:
    """Return a request that runs a script, uploaded for it, and sends ``/opt/ml/processing/out`` to S3."""
    uri = f"s3://{BUCKET}/{name}/code/script.py"
    runtime.storage.write_bytes(uri, textwrap.dedent(script).encode())
    return {
        "ProcessingJobName": name,
        "RoleArn": ROLE,
        "AppSpecification": {
            "ImageUri": SKLEARN,
            "ContainerEntrypoint": ["python3", "/opt/ml/processing/input/code/script.py"],
        },
        "ProcessingInputs": [s3_input("code", uri, "/opt/ml/processing/input/code")],
        "ProcessingOutputConfig": {
            "Outputs": [
                {
                    "OutputName": "out",
                    "S3Output": {
                        "S3Uri": f"s3://{BUCKET}/{name}/out",
                        "LocalPath": "/opt/ml/processing/out",
                        "S3UploadMode": "EndOfJob",
                    },
                }
            ]
        },
        "ProcessingResources": {
            "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.xlarge", "VolumeSizeInGB": 30}
        },
        **changes,
    }


def s3_input(name: str, uri: str, path: str, **source: Any) -> dict[str, Any]:
    return {
        "InputName": name,
        "S3Input": {
            "S3Uri": uri,
            "LocalPath": path,
            "S3DataType": "S3Prefix",
            "S3InputMode": "File",
            **source,
        },
    }


def run_processing(runtime: JobRuntime, name: str, script: str, **changes: Any) -> dict[str, Any]:
    """Run a script as a processing job to its end and return the Describe answer."""
    runtime.jobs.create("processing", processing_request(runtime, name, script, **changes))
    return runtime.jobs.wait("processing", name)


def output(runtime: JobRuntime, name: str) -> str:
    """Return what a processing job printed."""
    return runtime.jobs.log_path("processing", name).read_text()


# Runs as another user or in another process: starts one job and prints how it went.
DRIVER = """
import sys, time
from pathlib import Path
from sagemaker_local_runtime.settings import Settings
from sagemaker_local_runtime.tuning.service import TuningService
sys.path.insert(0, {folder!r})
from conftest import JobRuntime, output, run_processing, processing_request

runtime = JobRuntime(Settings(data_dir=Path({data!r}), isolation={isolation!r}), {endpoint!r})
{body}
"""


def driver(runtime: JobRuntime, body: str, isolation: str | None = None) -> str:
    return DRIVER.format(
        folder=str(Path(__file__).parent),
        data=str(runtime.account.settings.data_dir),
        isolation=isolation,
        endpoint=runtime.account.endpoint_url,
        body=textwrap.dedent(body),
    )
