"""Compare jobs with a requirements.txt, once its packages are kept, with the same job without one."""

from __future__ import annotations

import io
import statistics
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any

from sagemaker_local_runtime.settings import Settings
from sagemaker_local_runtime.testing import LocalRuntime

RUNS = 5
GOAL_SECONDS = 0.3
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.9-0-cpu-py3"
# 2,000 files, with statsmodels among them.
REQUIREMENTS = b"category_encoders==2.9.0\n"
SCRIPT = b"print('started')\n"
# As the SDK's FrameworkProcessor and ModelTrainer do.
CALLING_PIP = b"""
import subprocess
subprocess.run(["pip", "install", "-r", "/opt/ml/input/data/code/requirements.txt"], check=True)
print('started')
"""
# The files of the source, by the way in which its requirements are installed.
WAYS: dict[str, dict[str, bytes]] = {
    "no requirements.txt": {"train.py": SCRIPT},
    "installed by the image's toolkit": {"train.py": SCRIPT, "requirements.txt": REQUIREMENTS},
    "installed by pip in the script": {"train.py": CALLING_PIP, "requirements.txt": REQUIREMENTS},
}


def main() -> None:
    """Run the jobs alternately, so that both see the same load, and print medians."""
    with tempfile.TemporaryDirectory() as folder:
        runtime = LocalRuntime(Settings(data_dir=Path(folder), port=0))
        try:
            for way in WAYS:
                _job_seconds(runtime, way, 0)  # the first one installs
            seconds: dict[str, list[float]] = {way: [] for way in WAYS}
            for number in range(1, RUNS + 1):
                for way, values in seconds.items():
                    values.append(_job_seconds(runtime, way, number))
        finally:
            runtime.close()
    medians = {way: statistics.median(values) for way, values in seconds.items()}
    print(f"a training script, median of {RUNS} (goal: at most {GOAL_SECONDS} s more with requirements.txt)")
    for way, median in medians.items():
        print(f"  {way:<34} {median:7.2f} s")


def _job_seconds(runtime: LocalRuntime, way: str, number: int) -> float:
    """Return the seconds from the creation of a training job to its end."""
    files = WAYS[way]
    by_toolkit = files["train.py"] == SCRIPT
    name = f"{way.replace(' ', '-').replace('.', '-').replace(chr(39), '')}-{number}"
    request: dict[str, Any] = {
        "TrainingJobName": name,
        "RoleArn": runtime.role_arn,
        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        "OutputDataConfig": {"S3OutputPath": f"s3://{runtime.bucket}/models"},
        "ResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.xlarge", "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
    }
    if by_toolkit:
        uri = runtime.put("code/sourcedir.tar.gz", _archive(files))
        request["HyperParameters"] = {"sagemaker_program": "train.py", "sagemaker_submit_directory": uri}
    else:
        uris = [runtime.put(f"folder/{path}", content) for path, content in files.items()]
        source = {"S3DataType": "S3Prefix", "S3Uri": uris[0].rpartition("/")[0] + "/"}
        request["InputDataConfig"] = [{"ChannelName": "code", "DataSource": {"S3DataSource": source}}]
        program = ["python3", "/opt/ml/input/data/code/train.py"]
        request["AlgorithmSpecification"]["ContainerEntrypoint"] = program
    began = time.monotonic()
    runtime.client("sagemaker").create_training_job(**request)
    job = runtime.runtime.jobs.wait("training", name)
    seconds = time.monotonic() - began
    if job["TrainingJobStatus"] != "Completed":
        raise SystemExit(f"{name} ended as {job['TrainingJobStatus']}: {job['FailureReason']}")
    return seconds


def _archive(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()
