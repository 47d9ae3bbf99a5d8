"""Faults on demand, recorded calls and forgotten tokens."""

from __future__ import annotations

import time
import uuid
from typing import Any
from urllib.error import HTTPError

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from sagemaker_local_runtime.exceptions import ValidationError
from sagemaker_local_runtime.faults import Fault, FaultPlan
from sagemaker_local_runtime.testing import LocalRuntime

EMPTY = {
    "Version": "2020-12-01",
    "Steps": [{"Name": "F", "Type": "Fail", "Arguments": {"ErrorMessage": "x"}}],
}


def start_request(name: str) -> dict[str, Any]:
    return {"PipelineName": name, "ClientRequestToken": uuid.uuid4().hex}


def executions(runtime: LocalRuntime, name: str) -> int:
    found = runtime.client("sagemaker").list_pipeline_executions(PipelineName=name)
    return len(found["PipelineExecutionSummaries"])


def test_throttling_is_retried_by_the_client_and_ends_after_its_count(local_runtime: LocalRuntime) -> None:
    local_runtime.add_fault("ListModels", "throttle", count=2)
    with pytest.raises(ClientError, match="Rate exceeded") as raised:
        local_runtime.client("sagemaker").list_models()
    assert raised.value.response["Error"]["Code"] == "ThrottlingException"
    assert local_runtime.client("sagemaker", retries=3).list_models()["Models"] == []


@pytest.mark.parametrize(
    ("kind", "code", "status"), [("throttle", "SlowDown", 503), ("error500", "InternalError", 500)]
)
def test_s3_faults_have_s3s_shape(local_runtime: LocalRuntime, kind: str, code: str, status: int) -> None:
    local_runtime.add_fault("s3:PutObject", kind)
    with pytest.raises(ClientError) as raised:
        local_runtime.put("k", b"x")
    assert raised.value.response["Error"]["Code"] == code
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == status


def test_a_query_services_faults_have_its_shape(local_runtime: LocalRuntime) -> None:
    local_runtime.add_fault("sts:*", "throttle")
    with pytest.raises(ClientError) as raised:
        local_runtime.client("sts").get_caller_identity()
    assert raised.value.response["Error"]["Code"] == "Throttling"


def test_a_drop_before_leaves_nothing_and_a_drop_after_leaves_the_execution(
    local_runtime: LocalRuntime,
) -> None:
    name, sagemaker = local_runtime.create_pipeline(EMPTY), local_runtime.client("sagemaker")
    for kind, expected in (("drop_before", 0), ("drop_after", 1)):
        local_runtime.add_fault("StartPipelineExecution", kind, count=1)
        with pytest.raises(ConnectionClosedError):
            sagemaker.start_pipeline_execution(**start_request(name))
        assert executions(local_runtime, name) == expected


def test_a_retry_after_a_drop_finds_its_execution_by_the_token(local_runtime: LocalRuntime) -> None:
    name = local_runtime.create_pipeline(EMPTY)
    local_runtime.add_fault("StartPipelineExecution", "drop_after", count=1)
    local_runtime.client("sagemaker", retries=3).start_pipeline_execution(**start_request(name))
    assert executions(local_runtime, name) == 1


def test_forgotten_tokens_start_again(local_runtime: LocalRuntime) -> None:
    name, sagemaker = local_runtime.create_pipeline(EMPTY), local_runtime.client("sagemaker")
    request = start_request(name)
    first = sagemaker.start_pipeline_execution(**request)["PipelineExecutionArn"]
    assert sagemaker.start_pipeline_execution(**request)["PipelineExecutionArn"] == first
    local_runtime.forget_tokens()
    assert sagemaker.start_pipeline_execution(**request)["PipelineExecutionArn"] != first


def test_latency_delays_the_answer(local_runtime: LocalRuntime) -> None:
    local_runtime.add_fault("ListModels", "latency", seconds=0.3)
    began = time.monotonic()
    local_runtime.client("sagemaker").list_models()
    assert time.monotonic() - began >= 0.3


def test_calls_are_counted_by_their_name_in_iam_policies(local_runtime: LocalRuntime) -> None:
    before = local_runtime.calls()
    uri = local_runtime.put("k", b"x")
    local_runtime.get(uri)
    s3, bucket = local_runtime.client("s3"), local_runtime.bucket
    s3.head_object(Bucket=bucket, Key="k")
    s3.list_objects_v2(Bucket=bucket)
    s3.delete_object(Bucket=bucket, Key="k")
    local_runtime.client("sns").create_topic(Name="t")
    local_runtime.client("sqs").create_queue(QueueName="q")
    local_runtime.client("sagemaker").list_pipelines()
    after = local_runtime.calls()
    added = {name: count - before.get(name, 0) for name, count in after.items() if count != before.get(name)}
    assert added == {
        "s3:DeleteObject": 1,
        "s3:GetObject": 2,
        "s3:ListBucket": 1,
        "s3:PutObject": 1,
        "sagemaker:ListPipelines": 1,
        "sns:CreateTopic": 1,
        "sqs:CreateQueue": 1,
    }


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "explode"}, "kind 'explode' is not one of throttle"),
        ({"kind": "throttle", "probability": 2}, "probability 2 is not between 0 and 1"),
        ({"kind": "throttle", "count": 0}, "count 0 is not positive"),
        ({"kind": "throttle", "count": "2"}, "count '2' has the wrong type"),
        ({"kind": "throttle", "colour": "red"}, "unknown field 'colour'"),
    ],
)
def test_a_wrong_rule_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Fault.from_document({"action": "*", **fields})


def test_the_control_api_answers_a_wrong_rule_with_400(local_runtime: LocalRuntime) -> None:
    with pytest.raises(HTTPError) as raised:
        local_runtime.add_fault("*", "explode")
    assert raised.value.code == 400


def test_draws_are_repeatable_by_seed() -> None:
    def hits(seed: int) -> list[bool]:
        plan = FaultPlan()
        plan.add(Fault(action="*", kind="throttle", probability=0.5, seed=seed))
        return [plan.matching("sagemaker:ListModels") is not None for _ in range(50)]

    assert hits(1) == hits(1) != hits(2)
    assert 10 < sum(hits(1)) < 40


def test_a_capacity_rule_hits_jobs_and_no_request() -> None:
    plan = FaultPlan()
    plan.add(Fault(action="CreateTrainingJob", kind="capacity", count=1))
    assert plan.matching("sagemaker:CreateTrainingJob") is None
    assert plan.capacity_error("CreateProcessingJob") is None
    assert str(plan.capacity_error("CreateTrainingJob")).startswith("CapacityError")
    assert plan.capacity_error("CreateTrainingJob") is None
