"""Executions, steps and model packages announce their changes on EventBridge, in AWS's shape and in order."""

from __future__ import annotations

import json
from typing import Any

from sagemaker_local_runtime.testing import LocalRuntime
from tests.waiting import until

PASSING = {
    "Version": "2020-12-01",
    "Steps": [
        {
            "Name": "Decide",
            "Type": "Condition",
            "Arguments": {
                "Conditions": [{"Type": "Equals", "LeftValue": 1, "RightValue": 2}],
                "IfSteps": [],
                "ElseSteps": [{"Name": "Refuse", "Type": "Fail", "Arguments": {"ErrorMessage": "not equal"}}],
            },
        }
    ],
}


def subscribe(runtime: LocalRuntime, pattern: dict[str, Any]) -> str:
    """Return the URL of a queue that receives the matching events."""
    sqs, events = runtime.client("sqs"), runtime.client("events")
    url: str = sqs.create_queue(QueueName="events")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name="changes", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="changes", Targets=[{"Id": "queue", "Arn": arn}])
    return url


def receive(runtime: LocalRuntime, url: str, enough: Any) -> list[dict[str, Any]]:
    received: list[dict[str, Any]] = []

    def all_are_here() -> Any:
        messages = runtime.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10)
        received.extend(json.loads(message["Body"]) for message in messages.get("Messages", []))
        return enough(received)

    until(all_are_here, "the events")
    return received


def test_changes_reach_a_queue_in_order_and_in_awss_shape(local_runtime: LocalRuntime) -> None:
    url = subscribe(local_runtime, {"source": ["aws.sagemaker"]})
    execution = local_runtime.execute(PASSING)
    arn, pipeline = execution["PipelineExecutionArn"], execution["PipelineArn"]
    received = receive(
        local_runtime,
        url,
        lambda got: any(e["detail"].get("currentPipelineExecutionStatus") == "Failed" for e in got),
    )
    assert all(event["resources"] == [pipeline, arn] for event in received)
    assert all(event["detail"]["pipelineExecutionArn"] == arn for event in received)
    changes = [
        (event["detail"].get("stepName"), event["detail"].get("currentStepStatus"))
        for event in received
        if event["detail-type"] == "SageMaker Model Building Pipeline Execution Step Status Change"
    ]
    assert changes.index(("Decide", "Succeeded")) < changes.index(("Refuse", "Failed"))
    refused = next(e for e in received if e["detail"].get("currentStepStatus") == "Failed")
    assert refused["detail"]["stepType"] == "Fail"
    assert refused["detail"]["metadata"] == {"fail": {"errorMessage": "not equal"}}
    ended = received[-1]
    assert ended["detail-type"] == "SageMaker Model Building Pipeline Execution Status Change"
    assert ended["source"] == "aws.sagemaker"
    assert ended["detail"]["previousPipelineExecutionStatus"] == "Executing"
    assert ended["detail"]["executionStartTime"] <= ended["detail"]["executionEndTime"]
    assert ended["time"].endswith("Z")


def test_a_rule_filters_by_status(local_runtime: LocalRuntime) -> None:
    pattern = {"detail": {"currentPipelineExecutionStatus": ["Failed"]}}
    url = subscribe(local_runtime, pattern)
    local_runtime.execute(PASSING)
    received = receive(local_runtime, url, bool)
    assert [event["detail"]["currentPipelineExecutionStatus"] for event in received] == ["Failed"]


def test_a_bus_that_fails_does_not_disturb_the_execution(local_runtime: LocalRuntime) -> None:
    local_runtime.add_fault("events:*", "error500", count=2)
    execution = local_runtime.execute(PASSING)
    steps = local_runtime.steps(execution["PipelineExecutionArn"])
    assert {name: step["StepStatus"] for name, step in steps.items()} == {
        "Decide": "Succeeded",
        "Refuse": "Failed",
    }
    until(lambda: local_runtime.calls().get("events:PutEvents"), "the bus to be asked")


def test_a_package_announces_its_creation_and_each_new_approval_status(local_runtime: LocalRuntime) -> None:
    url = subscribe(local_runtime, {"detail-type": ["SageMaker Model Package State Change"]})
    sagemaker = local_runtime.client("sagemaker")
    sagemaker.create_model_package_group(ModelPackageGroupName="group")
    arn = sagemaker.create_model_package(ModelPackageGroupName="group")["ModelPackageArn"]
    # Neither a comment nor the same status again is a change of state.
    sagemaker.update_model_package(ModelPackageArn=arn, ApprovalDescription="a comment")
    for status in ("Approved", "Approved", "Rejected"):
        sagemaker.update_model_package(
            ModelPackageArn=arn, ModelApprovalStatus=status, ApprovalDescription=f"now {status}"
        )
    received = receive(local_runtime, url, lambda got: len(got) == 3)
    assert [(e["resources"], e["source"]) for e in received] == [([arn], "aws.sagemaker")] * 3
    details = [event["detail"] for event in received]
    assert [detail["ModelApprovalStatus"] for detail in details] == [
        "PendingManualApproval",
        "Approved",
        "Rejected",
    ]
    last = details[-1]
    assert (last["ModelPackageGroupName"], last["ModelPackageVersion"]) == ("group", 1)
    assert (last["ModelPackageArn"], last["ApprovalDescription"]) == (arn, "now Rejected")
    assert last["CreationTime"] <= last["LastModifiedTime"]
    assert last["CreationTime"].endswith("Z")
