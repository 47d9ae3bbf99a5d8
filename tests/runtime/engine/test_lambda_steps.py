"""Lambda steps as SDK v3 builds them, with the function that it deploys."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sagemaker_local_runtime.functions import service
from sagemaker_local_runtime.target import Target
from sagemaker_local_runtime.testing import LocalRuntime
from sagemaker_pipelines.aws.billing import with_bills
from sagemaker_pipelines.aws.gate import read_gate
from tests.runtime.functions import create_function
from tests.waiting import until

DOUBLE = """
import json
def run(event, context):
    doubled = 2 * event["count"]
    return {"doubled": doubled, "share": 0.5, "seen": json.dumps(event["plain"]), "fine": True, "more": [1]}
"""


def call(arn: str, *outputs: str, **step: Any) -> dict[str, Any]:
    declared = [{"OutputName": name, "OutputType": "Float"} for name in outputs]
    return {
        "Name": "Call",
        "Type": "Lambda",
        "FunctionArn": arn,
        "Arguments": {},
        "OutputParameters": declared,
        **step,
    }


def definition(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2020-12-01", "Steps": list(steps)}


@pytest.mark.thorough
def test_the_sdk_deploys_the_function_and_its_outputs_steer_the_pipeline(
    local_runtime: LocalRuntime, tmp_path: Path
) -> None:
    script = tmp_path / "double.py"
    script.write_text(DOUBLE)
    client = Path(__file__).with_name("lambda_client.py")
    command = [sys.executable, str(client), "doubling", local_runtime.role_arn, str(script)]
    environment = {**os.environ, **local_runtime.environment}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 0, ended.stderr[-2000:]

    arn = local_runtime.start("doubling")
    assert local_runtime.wait(arn)["PipelineExecutionStatus"] == "Succeeded"
    steps = local_runtime.steps(arn)
    metadata = steps["Double"]["Metadata"]["Lambda"]
    assert metadata["Arn"].endswith(":function:double")
    assert {item["Name"]: item["Value"] for item in metadata["OutputParameters"]} == {
        "doubled": "4",
        "share": "0.5",
        "seen": '[1, {"a": null}]',
        "fine": "true",
    }
    assert steps["Again"]["Metadata"]["Lambda"]["OutputParameters"] == [{"Name": "doubled", "Value": "8"}]

    second = local_runtime.start("doubling")
    local_runtime.wait(second)
    steps = local_runtime.steps(second)
    assert steps["Double"]["CacheHitResult"] == {"SourcePipelineExecutionArn": arn}
    assert steps["Double"]["Metadata"]["Lambda"] == metadata
    assert steps["Again"]["Metadata"]["Lambda"]["OutputParameters"] == [{"Name": "doubled", "Value": "8"}]

    third = local_runtime.start("doubling", {"Count": "1"})
    assert local_runtime.wait(third)["PipelineExecutionStatus"] == "Failed"
    assert local_runtime.steps(third)["Reject"]["StepStatus"] == "Failed"


def test_an_output_is_the_value_of_the_gate(local_runtime: LocalRuntime) -> None:
    arn = create_function(local_runtime, "def run(event, context):\n    return {'mse': 6.5}\n")
    comparison = {
        "Type": "LessThan",
        "LeftValue": {"Get": "Steps.Call.OutputParameters['mse']"},
        "RightValue": 7.0,
    }
    branches = {"Conditions": [comparison], "IfSteps": [], "ElseSteps": []}
    gate = {"Name": "Gate", "Type": "Condition", "Arguments": branches}
    execution = local_runtime.execute(definition(call(arn, "mse"), gate))["PipelineExecutionArn"]
    client = Target.of(local_runtime.endpoint_url, local_runtime.settings).sagemaker
    reading = read_gate(client, execution)
    assert (reading.metric, reading.value, reading.passed, reading.report_uri) == ("mse", 6.5, True, arn)
    steps = with_bills(client, client.describe_execution(execution), client.list_steps(execution))
    assert {step.name: (step.type, step.bill) for step in steps} == {
        "Call": ("Lambda", None),
        "Gate": ("Condition", None),
    }


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("raise KeyError('x')", "KeyError: 'x'"),
        ("return {'rmse': 1}", "'mse' is missing; it returned rmse"),
        ("return [1]", "it returned list, expected an object with the members mse"),
        ("return {'mse': 'low'}", "mse is 'low' \\(str\\), expected a Float"),
        ("return {'mse': None}", "mse is None \\(NoneType\\), expected a Float"),
    ],
)
def test_a_step_fails_with_its_function(local_runtime: LocalRuntime, source: str, reason: str) -> None:
    arn = create_function(local_runtime, f"def run(event, context):\n    {source}\n")
    execution = local_runtime.execute(definition(call(arn, "mse")))
    assert execution["PipelineExecutionStatus"] == "Failed"
    step = local_runtime.steps(execution["PipelineExecutionArn"])["Call"]
    assert step["Metadata"]["Lambda"]["Arn"] == arn

    assert re.search(reason, step["FailureReason"]), step["FailureReason"]


def test_a_function_that_does_not_exist_fails_the_step(local_runtime: LocalRuntime) -> None:
    arn = "arn:aws:lambda:us-east-1:123456789012:function:nothing"
    execution = local_runtime.execute(definition(call(arn)))
    step = local_runtime.steps(execution["PipelineExecutionArn"])["Call"]
    assert step["FailureReason"].startswith("ClientError: Failed to invoke lambda:InvokeFunction.")
    assert f"Function not found: {arn}" in step["FailureReason"]


def test_a_step_is_retried_when_too_many_functions_run(
    local_runtime: LocalRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    arn = create_function(local_runtime, "def run(event, context):\n    return {}\n")
    monkeypatch.setattr(service, "_MOST_AT_ONCE", 0)
    policy = {"ExceptionType": ["Step.THROTTLING"], "IntervalSeconds": 0, "MaxAttempts": 1}
    execution = local_runtime.execute(definition(call(arn, RetryPolicies=[policy])))
    step = local_runtime.steps(execution["PipelineExecutionArn"])["Call"]
    assert step["AttemptCount"] == 2
    assert "Rate Exceeded." in step["FailureReason"]


@pytest.mark.thorough
def test_a_selective_execution_takes_over_the_outputs(local_runtime: LocalRuntime) -> None:
    arn = create_function(
        local_runtime, "def run(event, context):\n    return {'mse': 1 + event.get('mse', 0)}\n"
    )
    second = call(arn, "mse", Name="Second", Arguments={"mse": {"Get": "Steps.Call.OutputParameters['mse']"}})
    name = local_runtime.create_pipeline(definition(call(arn, "mse"), second))
    source = local_runtime.start(name)
    local_runtime.wait(source)
    started = local_runtime.client("sagemaker").start_pipeline_execution(
        PipelineName=name,
        ClientRequestToken="t" * 32,
        SelectiveExecutionConfig={
            "SourcePipelineExecutionArn": source,
            "SelectedSteps": [{"StepName": "Second"}],
        },
    )["PipelineExecutionArn"]
    assert local_runtime.wait(started)["PipelineExecutionStatus"] == "Succeeded"
    steps = local_runtime.steps(started)
    assert steps["Second"]["Metadata"]["Lambda"]["OutputParameters"] == [{"Name": "mse", "Value": "2.0"}]


@pytest.mark.thorough
def test_a_stop_waits_for_the_function(local_runtime: LocalRuntime) -> None:
    source = """
import boto3
def run(event, context):
    s3 = boto3.client("s3")
    s3.put_object(Bucket=event["bucket"], Key="begun", Body=b"1")
    waiter = s3.get_waiter("object_exists")
    waiter.wait(Bucket=event["bucket"], Key="go", WaiterConfig={"Delay": 1, "MaxAttempts": 300})
    return {"mse": 1.5}
"""
    arn = create_function(local_runtime, source, Timeout=300)
    step = call(arn, "mse", Arguments={"bucket": local_runtime.bucket})
    execution = local_runtime.start(local_runtime.create_pipeline(definition(step)))

    def begun() -> bool:
        try:
            return bool(local_runtime.get(f"s3://{local_runtime.bucket}/begun"))
        except ClientError:
            return False

    until(begun, "the function")
    local_runtime.client("sagemaker").stop_pipeline_execution(
        PipelineExecutionArn=execution, ClientRequestToken="t" * 32
    )
    described = local_runtime.client("sagemaker").describe_pipeline_execution(PipelineExecutionArn=execution)
    assert described["PipelineExecutionStatus"] == "Stopping"
    local_runtime.put("go", b"1")
    assert local_runtime.wait(execution)["PipelineExecutionStatus"] == "Stopped"
    ended = local_runtime.steps(execution)["Call"]
    assert ended["Metadata"]["Lambda"]["OutputParameters"] == [{"Name": "mse", "Value": "1.5"}]
