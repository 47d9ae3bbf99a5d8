"""The engine behind the real server, from boto3 and the SageMaker SDK, and after kill -9."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from local_runtime.execution import INTERRUPTED
from local_runtime.server import LocalServer
from local_runtime.settings import Settings
from tests.runtime.engine.definitions import condition, fail_step, get, pipeline
from tests.runtime.engine.doubles import token

ROOT = Path(__file__).parents[3]
ROLE = "arn:aws:iam::123456789012:role/SageMakerExecutionRole"
PARAMETERS: list[dict[str, Any]] = [
    {"Name": "Mse", "Type": "Float", "DefaultValue": 4.9},
    {"Name": "Threshold", "Type": "Float", "DefaultValue": 6.0},
]
COMPARISON = {
    "Type": "LessThanOrEqualTo",
    "LeftValue": get("Parameters.Mse"),
    "RightValue": get("Parameters.Threshold"),
}
MESSAGE = {"Std:Join": {"On": " ", "Values": ["MSE >", get("Parameters.Threshold")]}}
GATE = pipeline(condition("Gate", [COMPARISON], [], [fail_step("Reject", MESSAGE)]), parameters=PARAMETERS)


def client(endpoint: str, service: str = "sagemaker") -> Any:
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def ended(sagemaker: Any, arn: str, timeout: float = 20) -> str:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        status = str(
            sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)["PipelineExecutionStatus"]
        )
        if status not in ("Executing", "Stopping"):
            return status
        time.sleep(0.02)
    raise AssertionError(f"{arn} did not end in {timeout} s")


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with LocalServer(Settings(data_dir=tmp_path_factory.mktemp("runtime"), port=0)) as server:
        yield server.endpoint_url


@pytest.fixture
def name() -> str:
    return f"gate-{token()[:8]}"


def create(sagemaker: Any, name: str, definition: dict[str, Any] = GATE) -> str:
    answer = sagemaker.create_pipeline(
        PipelineName=name, PipelineDefinition=json.dumps(definition), RoleArn=ROLE
    )
    return str(answer["PipelineArn"])


def test_boto3_runs_a_pipeline_both_ways(endpoint: str, name: str) -> None:
    sagemaker = client(endpoint)
    create(sagemaker, name)
    accepted = sagemaker.start_pipeline_execution(PipelineName=name)["PipelineExecutionArn"]
    assert ended(sagemaker, accepted) == "Succeeded"
    rejected = sagemaker.start_pipeline_execution(
        PipelineName=name, PipelineParameters=[{"Name": "Threshold", "Value": "3.0"}]
    )["PipelineExecutionArn"]
    assert ended(sagemaker, rejected) == "Failed"
    steps = sagemaker.get_paginator("list_pipeline_execution_steps").paginate(
        PipelineExecutionArn=rejected, PaginationConfig={"PageSize": 1}
    )
    reasons = {
        step["StepName"]: step.get("FailureReason")
        for page in steps
        for step in page["PipelineExecutionSteps"]
    }
    assert reasons == {"Gate": None, "Reject": "MSE > 3.0"}
    listed = sagemaker.list_pipeline_executions(PipelineName=name)["PipelineExecutionSummaries"]
    assert [item["PipelineExecutionArn"] for item in listed] == [rejected, accepted]
    assert listed[0]["PipelineExecutionFailureReason"] == "Step failure: One or multiple steps failed."


def test_boto3_sees_sagemakers_error_codes(endpoint: str, name: str) -> None:
    sagemaker = client(endpoint)
    with pytest.raises(sagemaker.exceptions.ResourceNotFound, match=f"pipeline/{name}' does not exist"):
        sagemaker.describe_pipeline(PipelineName=name)
    create(sagemaker, name)
    with pytest.raises(ClientError) as error:
        create(sagemaker, name)
    assert error.value.response["Error"]["Code"] == "ValidationException"
    same = token()
    sagemaker.start_pipeline_execution(PipelineName=name, ClientRequestToken=same)
    with pytest.raises(sagemaker.exceptions.ConflictException):
        sagemaker.start_pipeline_execution(
            PipelineName=name, ClientRequestToken=same, PipelineExecutionDescription="other"
        )


def test_a_definition_may_come_from_s3(endpoint: str, name: str) -> None:
    s3, sagemaker = client(endpoint, "s3"), client(endpoint)
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="definition.json", Body=json.dumps(GATE))
    location = {"Bucket": name, "ObjectKey": "definition.json"}
    sagemaker.create_pipeline(PipelineName=name, PipelineDefinitionS3Location=location, RoleArn=ROLE)
    described = sagemaker.describe_pipeline(PipelineName=name)
    assert json.loads(described["PipelineDefinition"]) == GATE
    with pytest.raises(ClientError, match=f"Cannot read the pipeline definition at s3://{name}/gone.json"):
        sagemaker.update_pipeline(
            PipelineName=name, PipelineDefinitionS3Location={"Bucket": name, "ObjectKey": "gone.json"}
        )


def test_the_sdk_upserts_starts_waits_and_lists(
    endpoint: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``Pipeline.upsert`` twice (create, then update with tags), start, wait, list_steps, list_parameters."""
    for variable, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "SAGEMAKER_VALIDATE_ROLE": "false",
    }.items():
        monkeypatch.setenv(variable, value)
    from sagemaker.core.telemetry import telemetry_logging

    monkeypatch.setattr(telemetry_logging, "_send_telemetry_request", lambda *args, **kwargs: None)
    sdk = gate_of_the_sdk(name)
    sdk.upsert(role_arn=ROLE)
    sdk.upsert(role_arn=ROLE, tags=[{"Key": "team", "Value": "ml"}])
    assert client(endpoint).list_tags(ResourceArn=sdk.describe()["PipelineArn"])["Tags"] == [
        {"Key": "team", "Value": "ml"}
    ]
    execution = sdk.start(parameters={"Threshold": 3.0})
    with pytest.raises(Exception, match="Waiter PipelineExecutionComplete failed"):
        execution.wait(delay=1, max_attempts=20)
    steps = {step["StepName"]: step for step in execution.list_steps()}
    assert steps["Reject"]["FailureReason"] == "MSE > 3.0"
    assert execution.list_parameters()["PipelineParameters"][-1] == {"Name": "Threshold", "Value": "3.0"}
    accepted = sdk.start()
    accepted.wait(delay=1, max_attempts=20)
    assert accepted.describe()["PipelineExecutionStatus"] == "Succeeded"
    assert sdk.list_pipeline_versions()["PipelineVersionSummaries"][0]["PipelineVersionId"] == 2


def gate_of_the_sdk(name: str) -> Any:
    from sagemaker.core.workflow.conditions import ConditionLessThanOrEqualTo
    from sagemaker.core.workflow.functions import Join
    from sagemaker.core.workflow.parameters import ParameterFloat
    from sagemaker.core.workflow.pipeline_context import PipelineSession
    from sagemaker.mlops.workflow.condition_step import ConditionStep
    from sagemaker.mlops.workflow.fail_step import FailStep
    from sagemaker.mlops.workflow.pipeline import Pipeline

    mse = ParameterFloat("Mse", default_value=4.9)
    threshold = ParameterFloat("Threshold", default_value=6.0)
    reject = FailStep("Reject", error_message=Join(on=" ", values=["MSE >", threshold]))
    gate = ConditionStep("Gate", conditions=[ConditionLessThanOrEqualTo(mse, threshold)], else_steps=[reject])
    return Pipeline(name, parameters=[mse, threshold], steps=[gate], sagemaker_session=PipelineSession())


SERVE = """
import sys, time
from pathlib import Path
from local_runtime.server import LocalServer
from local_runtime.settings import Settings
with LocalServer(Settings(data_dir=Path(sys.argv[1]), port=0, max_concurrent_executions=50)) as server:
    print(server.endpoint_url, flush=True)
    time.sleep(120)
"""


def serve(data_dir: Path) -> tuple[subprocess.Popen[str], str]:
    path = os.pathsep.join([str(ROOT), str(ROOT / "plugins")])
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(data_dir)],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def test_kill_9_loses_nothing_and_the_execution_can_be_retried(tmp_path: Path, name: str) -> None:
    process, endpoint = serve(tmp_path)
    try:
        queue = client(endpoint, "sqs").create_queue(QueueName=name)["QueueUrl"]
        ask = {
            "Name": "Ask",
            "Type": "Callback",
            "Arguments": {"a": 1},
            "SqsQueueUrl": queue,
            "OutputParameters": [],
        }
        sagemaker = client(endpoint)
        create(sagemaker, name, pipeline(ask))
        arn = sagemaker.start_pipeline_execution(PipelineName=name)["PipelineExecutionArn"]
        message = client(endpoint, "sqs").receive_message(QueueUrl=queue, WaitTimeSeconds=10)["Messages"][0]
        assert json.loads(message["Body"])["status"] == "Executing"
    finally:
        process.kill()
        process.wait()
    process, endpoint = serve(tmp_path)
    try:
        sagemaker = client(endpoint)
        described = sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
        assert (described["PipelineExecutionStatus"], described["FailureReason"]) == ("Failed", INTERRUPTED)
        (step,) = sagemaker.list_pipeline_execution_steps(PipelineExecutionArn=arn)["PipelineExecutionSteps"]
        assert (step["StepStatus"], step["FailureReason"]) == ("Failed", INTERRUPTED)
        sagemaker.retry_pipeline_execution(PipelineExecutionArn=arn)
        assert sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)["PipelineExecutionArn"] == arn
        assert ended(sagemaker, arn) == "Failed"  # the queue lived in the killed process' memory
        (step,) = sagemaker.list_pipeline_execution_steps(PipelineExecutionArn=arn)["PipelineExecutionSteps"]
        assert "Failed to invoke sqs:SendMessage" in step["FailureReason"]
    finally:
        process.terminate()
        process.wait()
