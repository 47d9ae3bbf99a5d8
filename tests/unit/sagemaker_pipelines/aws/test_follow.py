"""Every end of an execution that AWS knows ends the waiting for it."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.loaders import Loader

from sagemaker_pipelines.aws.steps import Step
from sagemaker_pipelines.aws.watch import ExecutionWatch
from tests.unit.sagemaker_pipelines.stand_in import StandIn

RUNNING = {"Executing", "Stopping"}
SHAPES = Loader().load_service_model("sagemaker", "service-2")["shapes"]


class Execution(StandIn):
    """It has each status in turn."""

    def __init__(self, *statuses: str) -> None:
        super().__init__()
        self._statuses = list(statuses)

    def describe_execution(self, pipeline_execution_arn: str) -> dict[str, Any]:
        return {"PipelineExecutionStatus": self._statuses.pop(0)}

    def list_steps(self, pipeline_execution_arn: str) -> list[Step]:
        return []


@pytest.mark.parametrize("final", sorted({*SHAPES["PipelineExecutionStatus"]["enum"]} - RUNNING))
def test_following_ends_with_the_execution(final: str) -> None:
    execution = Execution("Executing", "Stopping", final)
    assert ExecutionWatch(execution, "arn", waiter_delay=0.01, log=execution.log).follow() == final
