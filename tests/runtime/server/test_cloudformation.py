"""CloudFormation creates what moto has, and refuses what only SageMaker could execute."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sagemaker_local_runtime.testing import LocalRuntime

PIPELINE = {
    "Resources": {
        "Queue": {"Type": "AWS::SQS::Queue"},
        "Pipeline": {"Type": "AWS::SageMaker::Pipeline", "Properties": {"PipelineName": "abalone"}},
    }
}
MODEL = """
Resources:
  Model:
    Type: AWS::SageMaker::Model
    Properties: {ExecutionRoleArn: !Ref Role}
"""


def refusal(call: Any, **request: Any) -> str:
    with pytest.raises(ClientError) as raised:
        call(**request)
    error = raised.value.response["Error"]
    assert error["Code"] == "ValidationError"
    return str(error["Message"])


@pytest.mark.parametrize(
    ("template", "resource"),
    [(json.dumps(PIPELINE), "AWS::SageMaker::Pipeline"), (MODEL, "AWS::SageMaker::Model")],
)
def test_a_resource_of_sagemaker_is_refused_by_name(
    local_runtime: LocalRuntime, template: str, resource: str
) -> None:
    cloudformation = local_runtime.client("cloudformation")
    message = refusal(cloudformation.create_stack, StackName="s", TemplateBody=template)
    assert f"does not support {resource} in CloudFormation" in message
    message = refusal(
        cloudformation.create_change_set, StackName="s", ChangeSetName="c", TemplateBody=template
    )
    assert resource in message
    assert cloudformation.list_stacks()["StackSummaries"] == []


@pytest.mark.parametrize(
    "address", ["https://{bucket}.s3.amazonaws.com/t.json", "{endpoint}/{bucket}/t.json"]
)
def test_a_template_in_s3_is_read(local_runtime: LocalRuntime, address: str) -> None:
    local_runtime.put("t.json", json.dumps(PIPELINE).encode())
    url = address.format(bucket=local_runtime.bucket, endpoint=local_runtime.endpoint_url)
    create = local_runtime.client("cloudformation").create_stack
    assert "AWS::SageMaker::Pipeline" in refusal(create, StackName="s", TemplateURL=url)
    message = refusal(create, StackName="s", TemplateURL=url.replace("t.json", "nothing.json"))
    assert f"s3://{local_runtime.bucket}/nothing.json does not exist" in message


def test_other_resources_are_created(local_runtime: LocalRuntime) -> None:
    template = {
        "Description": "The queue of AWS::SageMaker::Pipeline",
        "Resources": {"Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "callbacks"}}},
    }
    local_runtime.client("cloudformation").create_stack(StackName="s", TemplateBody=json.dumps(template))
    assert local_runtime.client("sqs").get_queue_url(QueueName="callbacks")
