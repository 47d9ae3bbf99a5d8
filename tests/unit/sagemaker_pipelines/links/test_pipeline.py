"""Links to AWS's pages."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from unittest.mock import MagicMock

import pytest

from sagemaker_pipelines.exceptions import FailureCause
from sagemaker_pipelines.hooks.pipeline import SageMakerPipelineHook
from sagemaker_pipelines.links.pipeline import SageMakerFailedStepLogLink, SageMakerPipelineExecutionLink
from tests.unit.sagemaker_pipelines.samples import ARN

CAUSE = FailureCause(
    step_name="Train", reason="no", log_group="/aws/sagemaker/TrainingJobs", log_stream="job-1/algo-1-1"
)


class TaskInstance:
    def __init__(self) -> None:
        self.pushed: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


@pytest.fixture
def ti() -> TaskInstance:
    return TaskInstance()


def with_domain(hook: SageMakerPipelineHook) -> SageMakerPipelineHook:
    hook.__dict__["settings"] = replace(hook.settings, studio_domain_id="d-abc123")
    return hook


def test_the_execution_is_linked_in_studio_where_the_domain_is_set(
    hook: SageMakerPipelineHook, ti: TaskInstance
) -> None:
    link = SageMakerPipelineExecutionLink()
    link.store({"ti": ti}, MagicMock(), with_domain(hook), ARN)  # type: ignore[typeddict-item]
    assert link.format_link(**ti.pushed[link.key]) == (
        "https://studio-d-abc123.studio.us-east-1.sagemaker.aws"
        "/pipelines/view/dev-gated/executions/abcdefgh1234/graph"
    )


def test_without_a_domain_there_is_no_link(hook: SageMakerPipelineHook, ti: TaskInstance) -> None:
    SageMakerPipelineExecutionLink.store({"ti": ti}, MagicMock(), hook, ARN)  # type: ignore[typeddict-item]
    assert ti.pushed == {}


def test_against_another_endpoint_there_are_no_links(
    connection: str, ti: TaskInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    hook = with_domain(SageMakerPipelineHook(aws_conn_id=connection))
    SageMakerPipelineExecutionLink.store({"ti": ti}, MagicMock(), hook, ARN)  # type: ignore[typeddict-item]
    SageMakerFailedStepLogLink.store({"ti": ti}, MagicMock(), hook, CAUSE)  # type: ignore[typeddict-item]
    assert ti.pushed == {}


def test_the_log_of_the_failed_step_is_linked_in_cloudwatch(
    hook: SageMakerPipelineHook, ti: TaskInstance
) -> None:
    link = SageMakerFailedStepLogLink()
    link.store({"ti": ti}, MagicMock(), hook, CAUSE)  # type: ignore[typeddict-item]
    assert link.format_link(**ti.pushed[link.key]) == (
        "https://console.aws.amazon.com/cloudwatch/home?region=us-east-1#logsV2:log-groups/log-group/"
        "$252Faws$252Fsagemaker$252FTrainingJobs/log-events/job-1$252Falgo-1-1"
    )


def test_a_step_without_a_log_has_no_link(hook: SageMakerPipelineHook, ti: TaskInstance) -> None:
    cause = FailureCause(step_name="Fail", reason="no")
    SageMakerFailedStepLogLink.store({"ti": ti}, MagicMock(), hook, cause)  # type: ignore[typeddict-item]
    assert ti.pushed == {}
