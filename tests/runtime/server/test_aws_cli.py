"""The AWS CLI drives the runtime as it drives AWS."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sagemaker_local_runtime.testing import LocalRuntime
from tests.waiting import GENEROUS_SECONDS

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.9-0"


def aws(runtime: LocalRuntime, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).parent / "aws", *arguments],
        capture_output=True,
        text=True,
        timeout=GENEROUS_SECONDS,
        check=False,
        env={**os.environ, **runtime.environment, "AWS_PAGER": ""},
    )


def answer(runtime: LocalRuntime, *arguments: str) -> Any:
    done = aws(runtime, *arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if done.stdout.strip() else None


def definition(runtime: LocalRuntime, code: str) -> dict[str, Any]:
    arguments = {
        "AppSpecification": {"ImageUri": IMAGE, "ContainerEntrypoint": ["python3", "-c", code]},
        "ProcessingResources": {
            "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}
        },
        "ProcessingOutputConfig": {
            "Outputs": [
                {
                    "OutputName": "out",
                    "S3Output": {
                        "S3Uri": f"s3://{runtime.bucket}/out",
                        "LocalPath": "/opt/ml/processing/out",
                        "S3UploadMode": "EndOfJob",
                    },
                }
            ]
        },
        "RoleArn": runtime.role_arn,
    }
    return {
        "Version": "2020-12-01",
        "Steps": [{"Name": "Work", "Type": "Processing", "Arguments": arguments}],
    }


@pytest.mark.thorough
def test_a_pipeline_runs_from_file_to_result(local_runtime: LocalRuntime, tmp_path: Path) -> None:
    code = "print('hello from the job'); open('/opt/ml/processing/out/r.txt', 'w').write('42')"
    path = tmp_path / "definition.json"
    path.write_text(json.dumps(definition(local_runtime, code)))
    sagemaker = ("sagemaker", "--output", "json")
    answer(
        local_runtime,
        *("sagemaker", "create-pipeline", "--pipeline-name", "p", "--role-arn", local_runtime.role_arn),
        *("--pipeline-definition", f"file://{path}", "--client-request-token", "t" * 32),
    )
    started = answer(local_runtime, *sagemaker, "start-pipeline-execution", "--pipeline-name", "p")
    arn = started["PipelineExecutionArn"]
    local_runtime.wait(arn)
    described = answer(
        local_runtime, "sagemaker", "describe-pipeline-execution", "--pipeline-execution-arn", arn
    )
    assert described["PipelineExecutionStatus"] == "Succeeded"
    steps = answer(
        local_runtime, "sagemaker", "list-pipeline-execution-steps", "--pipeline-execution-arn", arn
    )
    job = steps["PipelineExecutionSteps"][0]["Metadata"]["ProcessingJob"]["Arn"].rpartition("/")[2]
    group = ("--log-group-name", "/aws/sagemaker/ProcessingJobs")
    streams = answer(local_runtime, "logs", "describe-log-streams", *group, "--log-stream-name-prefix", job)
    stream = ("--log-stream-name", streams["logStreams"][0]["logStreamName"])
    first = answer(local_runtime, "logs", "get-log-events", *group, *stream, "--start-from-head")
    assert "hello from the job" in [event["message"] for event in first["events"]]
    again = (*group, *stream, "--next-token", first["nextForwardToken"])
    assert answer(local_runtime, "logs", "get-log-events", *again)["events"] == [], "the token is the end"
    copied = aws(local_runtime, "s3", "cp", f"s3://{local_runtime.bucket}/out/r.txt", "-")
    assert copied.stdout == "42"


def test_files_are_synchronised_both_ways(local_runtime: LocalRuntime, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "deep").mkdir(parents=True)
    (source / "a.bin").write_bytes(os.urandom(9 * 1024**2))
    (source / "deep" / "b.txt").write_text("b")
    target = f"s3://{local_runtime.bucket}/sync"
    assert aws(local_runtime, "s3", "sync", str(source), target).returncode == 0
    assert aws(local_runtime, "s3", "sync", target, str(tmp_path / "back")).returncode == 0
    assert (tmp_path / "back" / "a.bin").read_bytes() == (source / "a.bin").read_bytes()
    assert (tmp_path / "back" / "deep" / "b.txt").read_text() == "b"


def test_an_error_is_awss(local_runtime: LocalRuntime) -> None:
    done = aws(local_runtime, "sagemaker", "describe-pipeline", "--pipeline-name", "nowhere")
    assert done.returncode in (254, 255), "the CLI's versions 2 and 1"
    assert "An error occurred (ResourceNotFound) when calling the DescribePipeline operation" in done.stderr
