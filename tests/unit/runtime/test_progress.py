"""Every end of an execution that AWS knows ends the waiting for it."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.loaders import Loader

from local_runtime.progress import follow

RUNNING = {"Executing", "Stopping"}
SHAPES = Loader().load_service_model("sagemaker", "service-2")["shapes"]


class Execution:
    """A SageMaker client that knows one execution, which has each status in turn."""

    def __init__(self, *statuses: str) -> None:
        self._statuses = list(statuses)

    def describe_pipeline_execution(self, **_: Any) -> dict[str, str]:
        return {"PipelineExecutionStatus": self._statuses.pop(0)}

    def get_paginator(self, _: str) -> Any:
        return self

    def paginate(self, **_: Any) -> list[dict[str, Any]]:
        return [{"PipelineExecutionSteps": []}]


@pytest.mark.parametrize("final", sorted({*SHAPES["PipelineExecutionStatus"]["enum"]} - RUNNING))
def test_following_ends_with_the_execution(final: str) -> None:
    assert follow(Execution("Executing", "Stopping", final), "arn", lambda _: None) == final
