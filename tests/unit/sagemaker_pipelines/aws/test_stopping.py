"""Stopping an execution."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.stub import Stubber

from sagemaker_pipelines.aws.stopping import stop_execution
from sagemaker_pipelines.hooks.pipeline import SageMakerPipelineHook
from tests.unit.sagemaker_pipelines.samples import ARN


@pytest.fixture(autouse=True)
def no_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sagemaker_pipelines.aws.stopping.time.sleep", lambda _: None)


def described(stubber: Stubber, status: str) -> None:
    stubber.add_response("describe_pipeline_execution", {"PipelineExecutionStatus": status})


def steps(stubber: Stubber, *found: dict[str, Any]) -> None:
    stubber.add_response("list_pipeline_execution_steps", {"PipelineExecutionSteps": list(found)})


def stop(hook: SageMakerPipelineHook, seconds: float = 4) -> bool:
    return stop_execution(hook.conn, ARN, seconds=seconds, log=hook.log)


def test_a_stop_is_confirmed(hook: SageMakerPipelineHook, sagemaker: Stubber) -> None:
    sagemaker.add_response("stop_pipeline_execution", {})
    described(sagemaker, "Stopping")
    steps(sagemaker)
    assert stop(hook)


def test_a_conflict_between_two_steps_is_tried_again(hook: SageMakerPipelineHook, sagemaker: Stubber) -> None:
    sagemaker.add_client_error("stop_pipeline_execution", "ConflictException")
    described(sagemaker, "Executing")
    sagemaker.add_client_error("stop_pipeline_execution", "ThrottlingException")
    sagemaker.add_response("stop_pipeline_execution", {})
    described(sagemaker, "Stopping")
    steps(sagemaker)
    assert stop(hook)


@pytest.mark.parametrize("status", ["Succeeded", "Failed", "Stopped"])
def test_what_has_ended_needs_no_stop(hook: SageMakerPipelineHook, sagemaker: Stubber, status: str) -> None:
    message = "Only pipelines with 'Executing' status can be stopped."
    sagemaker.add_client_error("stop_pipeline_execution", "ValidationException", message)
    described(sagemaker, status)
    assert stop(hook)


def test_an_execution_that_goes_on_is_reported_at_the_deadline(
    hook: SageMakerPipelineHook, sagemaker: Stubber, capsys: pytest.CaptureFixture[str]
) -> None:
    sagemaker.add_client_error("stop_pipeline_execution", "ConflictException")
    described(sagemaker, "Executing")
    assert not stop(hook, seconds=0)
    assert "could not be stopped" in capsys.readouterr().out


def test_a_refusal_is_not_tried_again(hook: SageMakerPipelineHook, sagemaker: Stubber) -> None:
    sagemaker.add_client_error("stop_pipeline_execution", "AccessDeniedException")
    assert not stop(hook)


@pytest.mark.parametrize(("kind", "told"), [("Callback", "token"), ("Lambda", "function has returned")])
def test_what_sagemaker_waits_for_is_told(
    hook: SageMakerPipelineHook, sagemaker: Stubber, capsys: pytest.CaptureFixture[str], kind: str, told: str
) -> None:
    sagemaker.add_response("stop_pipeline_execution", {})
    described(sagemaker, "Stopping")
    metadata = {"CallbackToken": "a" * 10} if kind == "Callback" else {"Arn": "function"}
    steps(sagemaker, {"StepName": "Ask", "StepStatus": "Executing", "Metadata": {kind: metadata}})
    assert stop(hook)
    shown = capsys.readouterr().out
    assert "Step Ask is still running" in shown
    assert told in shown
