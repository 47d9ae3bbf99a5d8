"""The survey over a real runtime's answers."""

from __future__ import annotations

from typing import Any

import pytest

from sagemaker_local_runtime.testing import LocalRuntime, local_runtime
from sagemaker_pipelines.aws.survey import ExecutionSurvey
from sagemaker_pipelines.hooks.pipeline import SageMakerPipelineHook

__all__ = ["local_runtime"]

NOTHING: dict[str, Any] = {
    "Name": "Nothing",
    "Type": "Condition",
    "Arguments": {
        "Conditions": [{"Type": "Equals", "LeftValue": 1, "RightValue": 1}],
        "IfSteps": [],
        "ElseSteps": [],
    },
}


@pytest.mark.parametrize("count", [1, 3])
def test_few_executions_are_described_and_more_are_listed(local_runtime: LocalRuntime, count: int) -> None:
    name = local_runtime.create_pipeline({"Version": "2020-12-01", "Steps": [NOTHING]})
    arns = [local_runtime.start(name) for _ in range(count)]
    for arn in arns:
        local_runtime.wait(arn)
    client = SageMakerPipelineHook(aws_conn_id=None).client
    client.__dict__["sagemaker"] = local_runtime.client("sagemaker")
    survey = ExecutionSurvey(client, name)
    for _ in range(2):
        assert survey.look(arns) == dict.fromkeys(arns, "Succeeded")
        assert survey.calls == 1
