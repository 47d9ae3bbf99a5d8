"""EndpointConfig and Endpoint steps."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sagemaker_local_runtime.target import Target
from sagemaker_local_runtime.testing import LocalRuntime
from sagemaker_pipelines.aws.outcome import failure_cause
from sagemaker_pipelines.aws.steps import Step
from tests.runtime.endpoints import ask, create_model
from tests.waiting import until

# Is loaded when the test has written an object.
WAITING = """
import boto3
waiter = boto3.client("s3").get_waiter("object_exists")
waiter.wait(Bucket="{bucket}", Key="go", WaiterConfig={{"Delay": 1, "MaxAttempts": 300}})

def model_fn(folder):
    return None

def input_fn(body, content_type):
    return body

def predict_fn(body, model):
    return body

def output_fn(body, accept):
    return body, accept
"""


def definition(model: str, **variant: Any) -> dict[str, Any]:
    variants = [{"VariantName": "all", "ModelName": model, "InstanceType": "ml.m5.large", **variant}]
    name = {"Get": "Steps.Configure.EndpointConfigName"}
    arguments = {"EndpointName": "served", "EndpointConfigName": name}
    steps = [
        {"Name": "Configure", "Type": "EndpointConfig", "Arguments": {"ProductionVariants": variants}},
        {"Name": "Deploy", "Type": "Endpoint", "Arguments": arguments},
    ]
    return {"Version": "2020-12-01", "Steps": steps}


@pytest.mark.thorough
def test_the_sdks_steps_deploy_update_and_are_cached_while_the_endpoint_serves(
    local_runtime: LocalRuntime,
) -> None:
    first, second = create_model(local_runtime, "first"), create_model(local_runtime, "second")
    client = str(Path(__file__).with_name("endpoint_client.py"))
    command = [sys.executable, client, "served", local_runtime.role_arn, local_runtime.bucket, first]
    environment = {**os.environ, **local_runtime.environment}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 0, ended.stderr[-2000:]

    def run(model: str) -> tuple[str, dict[str, Any]]:
        arn = local_runtime.start("served", {"Model": model})
        assert local_runtime.wait(arn)["PipelineExecutionStatus"] == "Succeeded", local_runtime.steps(arn)
        return arn, local_runtime.steps(arn)

    created, steps = run(first)
    assert steps["Configure"]["Metadata"]["EndpointConfig"]["Arn"].partition(":endpoint-config/")[2]
    assert steps["Deploy"]["Metadata"]["Endpoint"]["Arn"].endswith(":endpoint/served")
    assert ask(local_runtime, "served") == "first text/csv x"
    _, steps = run(first)
    hit = {"SourcePipelineExecutionArn": created}
    assert [steps[name].get("CacheHitResult") for name in ("Configure", "Deploy")] == [hit, hit]

    _, steps = run(second)
    assert not any("CacheHitResult" in step for step in steps.values())
    assert ask(local_runtime, "served") == "second text/csv x"
    _, steps = run(first)
    assert steps["Configure"].get("CacheHitResult") == hit
    assert "CacheHitResult" not in steps["Deploy"], "the endpoint has served another model since"
    assert ask(local_runtime, "served") == "first text/csv x"

    sagemaker = local_runtime.client("sagemaker")
    for config in sagemaker.list_endpoint_configs()["EndpointConfigs"]:
        sagemaker.delete_endpoint_config(EndpointConfigName=config["EndpointConfigName"])
    _, steps = run(first)
    assert not any("CacheHitResult" in step for step in steps.values()), "the configuration is gone"


@pytest.mark.thorough
def test_a_step_fails_with_its_endpoint(local_runtime: LocalRuntime) -> None:
    model = create_model(local_runtime, "broken", "raise RuntimeError('no weights')")
    execution = local_runtime.execute(definition(model))
    assert execution["PipelineExecutionStatus"] == "Failed"
    steps = local_runtime.steps(execution["PipelineExecutionArn"])
    assert steps["Configure"]["StepStatus"] == "Succeeded"
    assert steps["Deploy"]["FailureReason"].startswith(
        "ClientError: The primary container for production variant all did not pass the ping health check."
    )
    client = Target.of(local_runtime.endpoint_url, local_runtime.settings).sagemaker
    cause = failure_cause(client, Step.read(steps["Deploy"]))
    assert cause.log_group == "/aws/sagemaker/Endpoints/served"
    assert any("RuntimeError: no weights" in line for line in cause.log_tail)
    arn = steps["Deploy"]["Metadata"]["Endpoint"]["Arn"]
    assert arn == local_runtime.client("sagemaker").describe_endpoint(EndpointName="served")["EndpointArn"]

    # A retry keeps the configuration, and deploys again what can be loaded now.
    sagemaker = local_runtime.client("sagemaker")
    sagemaker.delete_endpoint(EndpointName="served")
    until(lambda: not sagemaker.list_endpoints()["Endpoints"], "the end of the endpoint")
    sagemaker.delete_model(ModelName=model)
    create_model(local_runtime, model)
    retried = execution["PipelineExecutionArn"]
    sagemaker.retry_pipeline_execution(PipelineExecutionArn=retried, ClientRequestToken="r" * 32)
    assert local_runtime.wait(retried)["PipelineExecutionStatus"] == "Succeeded"
    assert local_runtime.steps(retried)["Configure"] == steps["Configure"]
    assert ask(local_runtime, "served") == "broken text/csv x"


@pytest.mark.thorough
def test_a_failed_endpoint_can_only_be_deleted(local_runtime: LocalRuntime) -> None:
    model = create_model(local_runtime, "broken", "raise RuntimeError('no weights')")
    local_runtime.execute(definition(model))
    # Nothing but DeleteEndpoint is possible then, as on AWS.
    arn = local_runtime.start(local_runtime.create_pipeline(definition(create_model(local_runtime, "good"))))
    assert local_runtime.wait(arn)["PipelineExecutionStatus"] == "Failed"
    reason = local_runtime.steps(arn)["Deploy"]["FailureReason"]
    assert reason.startswith(
        "ClientError: Failed to invoke sagemaker:CreateEndpoint. Error Details: The endp"
    )


@pytest.mark.thorough
def test_a_stop_ends_the_wait_and_a_retry_goes_on_with_it(local_runtime: LocalRuntime) -> None:
    sagemaker = local_runtime.client("sagemaker")
    slow = create_model(local_runtime, "slow", WAITING.format(bucket=local_runtime.bucket))
    arn = local_runtime.start(local_runtime.create_pipeline(definition(slow)))
    until(lambda: "Endpoint" in local_runtime.steps(arn).get("Deploy", {}).get("Metadata", {}), "the step")
    sagemaker.stop_pipeline_execution(PipelineExecutionArn=arn, ClientRequestToken="t" * 32)
    assert local_runtime.wait(arn)["PipelineExecutionStatus"] == "Stopped"
    assert local_runtime.steps(arn)["Deploy"]["StepStatus"] == "Stopped"
    created = sagemaker.describe_endpoint(EndpointName="served")
    assert created["EndpointStatus"] == "Creating"

    sagemaker.retry_pipeline_execution(PipelineExecutionArn=arn, ClientRequestToken="r" * 32)
    local_runtime.put("go", b"1")
    assert local_runtime.wait(arn)["PipelineExecutionStatus"] == "Succeeded", local_runtime.steps(arn)
    assert sagemaker.describe_endpoint(EndpointName="served")["CreationTime"] == created["CreationTime"]
    assert ask(local_runtime, "served", "7") == "7"


def test_a_model_that_does_not_exist_fails_the_configuration(local_runtime: LocalRuntime) -> None:
    execution = local_runtime.execute(definition("nothing"))
    reason = local_runtime.steps(execution["PipelineExecutionArn"])["Configure"]["FailureReason"]
    assert reason.startswith("ClientError: Failed to invoke sagemaker:CreateEndpointConfig. Error Details: ")
    assert "Could not find model" in reason
