"""The engine behind the real server, as boto3 and the SageMaker SDK see it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sagemaker_local_runtime.testing import LocalRuntime
from tests.runtime.engine.definitions import condition, fail_step, get, pipeline
from tests.runtime.engine.doubles import token

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


def test_boto3_runs_a_pipeline_both_ways(local_runtime: LocalRuntime) -> None:
    sagemaker = local_runtime.client("sagemaker")
    name = local_runtime.create_pipeline(GATE)
    accepted = local_runtime.start(name)
    assert local_runtime.wait(accepted)["PipelineExecutionStatus"] == "Succeeded"
    rejected = local_runtime.start(name, {"Threshold": "3.0"})
    assert local_runtime.wait(rejected)["PipelineExecutionStatus"] == "Failed"
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


def test_boto3_sees_sagemakers_error_codes(local_runtime: LocalRuntime) -> None:
    sagemaker = local_runtime.client("sagemaker")
    with pytest.raises(sagemaker.exceptions.ResourceNotFound, match="pipeline/gate' does not exist"):
        sagemaker.describe_pipeline(PipelineName="gate")
    local_runtime.create_pipeline(GATE, "gate")
    with pytest.raises(ClientError) as error:
        local_runtime.create_pipeline(GATE, "gate")
    assert error.value.response["Error"]["Code"] == "ValidationException"
    same = token()
    sagemaker.start_pipeline_execution(PipelineName="gate", ClientRequestToken=same)
    with pytest.raises(sagemaker.exceptions.ConflictException):
        sagemaker.start_pipeline_execution(
            PipelineName="gate", ClientRequestToken=same, PipelineExecutionDescription="other"
        )


def test_a_definition_may_come_from_s3(local_runtime: LocalRuntime) -> None:
    sagemaker = local_runtime.client("sagemaker")
    local_runtime.put("definition.json", json.dumps(GATE).encode())
    location = {"Bucket": local_runtime.bucket, "ObjectKey": "definition.json"}
    request = {"PipelineName": "gate", "RoleArn": local_runtime.role_arn}
    sagemaker.create_pipeline(**request, PipelineDefinitionS3Location=location)
    assert json.loads(sagemaker.describe_pipeline(PipelineName="gate")["PipelineDefinition"]) == GATE
    missing = {**location, "ObjectKey": "gone.json"}
    with pytest.raises(ClientError, match=r"Cannot read the pipeline definition at s3://.*/gone\.json"):
        sagemaker.update_pipeline(**request, PipelineDefinitionS3Location=missing)


def test_a_definition_longer_than_a_request_may_hold_comes_from_s3(local_runtime: LocalRuntime) -> None:
    sagemaker = local_runtime.client("sagemaker")
    description = {"Comment": "x" * 1024}
    long = {**GATE, "Metadata": {str(number): description for number in range(2000)}}
    request = {"PipelineName": "long", "RoleArn": local_runtime.role_arn}
    with pytest.raises(ClientError, match="length less than or equal to 1048576"):
        sagemaker.create_pipeline(**request, PipelineDefinition=json.dumps(long))
    local_runtime.put("long.json", json.dumps(long).encode())
    location = {"Bucket": local_runtime.bucket, "ObjectKey": "long.json"}
    sagemaker.create_pipeline(**request, PipelineDefinitionS3Location=location)
    assert json.loads(sagemaker.describe_pipeline(PipelineName="long")["PipelineDefinition"]) == long


def test_tags_of_what_does_not_exist_are_refused(local_runtime: LocalRuntime) -> None:
    resources = [
        "pipeline/gone",
        "pipeline/gone/execution/abcdefghijkl",
        "model/gone",
        "model-package/gone/1",
    ]
    resources += [
        "processing-job/gone",
        "training-job/gone",
        "transform-job/gone",
        "model-package-group/gone",
    ]
    for resource in resources:
        arn = local_runtime.runtime.account.arn(resource)
        with pytest.raises(ClientError, match=r"does not exist|[nN]ot [fF]ind|not found"):
            local_runtime.client("sagemaker").list_tags(ResourceArn=arn)


def test_the_sdk_upserts_starts_waits_and_lists(
    local_runtime: LocalRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``Pipeline.upsert`` twice (create, then update with tags), start, wait, list_steps, list_parameters."""
    for variable, value in {**local_runtime.environment, "SAGEMAKER_VALIDATE_ROLE": "false"}.items():
        monkeypatch.setenv(variable, value)
    from sagemaker.core.telemetry import telemetry_logging

    monkeypatch.setattr(telemetry_logging, "_send_telemetry_request", lambda *args, **kwargs: None)
    sdk = gate_of_the_sdk()
    sdk.upsert(role_arn=local_runtime.role_arn)
    sdk.upsert(role_arn=local_runtime.role_arn, tags=[{"Key": "team", "Value": "ml"}])
    tags = local_runtime.client("sagemaker").list_tags(ResourceArn=sdk.describe()["PipelineArn"])["Tags"]
    assert tags == [{"Key": "team", "Value": "ml"}]
    execution = sdk.start(parameters={"Threshold": 3.0})
    with pytest.raises(Exception, match="Waiter PipelineExecutionComplete failed"):
        execution.wait(delay=1, max_attempts=300)
    steps = {step["StepName"]: step for step in execution.list_steps()}
    assert steps["Reject"]["FailureReason"] == "MSE > 3.0"
    assert execution.list_parameters()["PipelineParameters"][-1] == {"Name": "Threshold", "Value": "3.0"}
    accepted = sdk.start()
    accepted.wait(delay=1, max_attempts=300)
    assert accepted.describe()["PipelineExecutionStatus"] == "Succeeded"
    with pytest.raises(ClientError, match="Only pipelines with 'Executing' status can be stopped"):
        accepted.stop()
    assert sdk.list_pipeline_versions()["PipelineVersionSummaries"][0]["PipelineVersionId"] == 2


def gate_of_the_sdk() -> Any:
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
    return Pipeline("gate", parameters=[mse, threshold], steps=[gate], sagemaker_session=PipelineSession())
