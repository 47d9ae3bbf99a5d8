"""The arguments of every step fit the request shapes of the AWS API that SageMaker calls with them."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.validate import ParamValidator

from sagemaker_pipelines.definition import Envelope, iter_steps, with_job_settings
from stack.definitions import DEFINITIONS

#: Step type to the operation that SageMaker calls, and the name that it adds to the arguments.
OPERATIONS = {
    "Endpoint": ("CreateEndpoint", None),
    "EndpointConfig": ("CreateEndpointConfig", None),
    "Model": ("CreateModel", "ModelName"),
    "Processing": ("CreateProcessingJob", "ProcessingJobName"),
    "QualityCheck": ("CreateProcessingJob", "ProcessingJobName"),
    "RegisterModel": ("CreateModelPackage", None),
    "Training": ("CreateTrainingJob", "TrainingJobName"),
    "Tuning": ("CreateHyperParameterTuningJob", "HyperParameterTuningJobName"),
    "Transform": ("CreateTransformJob", "TransformJobName"),
}


def _resolved(value: Any, parameters: dict[str, Any]) -> Any:
    """Replace expressions by values of the kind that they have at run time."""
    if isinstance(value, list):
        return [_resolved(item, parameters) for item in value]
    if not isinstance(value, dict):
        return value
    if "Std:Join" in value:
        return "s3://bucket/joined"
    if "Get" in value:
        return parameters.get(value["Get"].removeprefix("Parameters."), "s3://bucket/property")
    return {key: _resolved(item, parameters) for key, item in value.items()}


@pytest.mark.parametrize("name", ["abalone", "abalone-tuned", "comparison", "scoring"])
def test_every_job_s_arguments_fit_its_request_also_with_key_network_and_tags(name: str) -> None:
    envelope = Envelope.load(DEFINITIONS / f"{name}.json")
    model = boto3.Session(region_name="us-east-1").client("sagemaker").meta.service_model
    role = "arn:aws:iam::123456789012:role/r"
    values = {"account_id": "1", "artifact_bucket": "b", "name_prefix": "dev-", "role_arn": role}
    definition = with_job_settings(
        envelope.fill(values, region="us-east-1"),
        kms_key_id="alias/key",
        vpc_config={"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]},
        tags={"team": "ml"},
    )
    parameters = {parameter.name: parameter.default or "arn:package" for parameter in envelope.parameters}
    checked = 0
    for step in iter_steps(definition):
        if step["Type"] not in OPERATIONS:
            continue
        operation, name_key = OPERATIONS[step["Type"]]
        request = _resolved(step["Arguments"], parameters)
        if name_key:
            request[name_key] = "job"
        report = ParamValidator().validate(request, model.operation_model(operation).input_shape)
        assert not report.has_errors(), f"{step['Name']}: {report.generate_report()}"
        checked += 1
    assert checked >= 4
