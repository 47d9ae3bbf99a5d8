"""What an execution looks like on a terminal."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.stub import Stubber
from rich.console import Console

from sagemaker_pipelines.aws import view
from sagemaker_pipelines.aws.client import SageMakerClient
from sagemaker_pipelines.aws.gate import GateReading
from sagemaker_pipelines.aws.steps import Step
from sagemaker_pipelines.aws.view import Progress, gate_lines, show, steps_lines, title
from sagemaker_pipelines.exceptions import EvaluationError
from tests.unit.sagemaker_pipelines.samples import ARN, gated_definition

START = datetime(2026, 11, 23, 7, tzinfo=UTC)


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=160)


def printed(console: Console) -> list[str]:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def step(name: str, status: str, seconds: float | None = None, message: str | None = None) -> Step:
    ended = None if seconds is None else START + timedelta(seconds=seconds)
    return Step(name=name, status=status, started=START, ended=ended, type="Fail", reason=message)


def test_a_line_is_printed_only_when_a_state_changes(console: Console) -> None:
    progress = Progress(console)
    for status in ("Executing", "Executing", "Succeeded", "Succeeded"):
        progress.steps("abalone", [step("Train", status, 1.5 if status == "Succeeded" else None)])
    lines = printed(console)
    assert len(lines) == 2
    assert "Executing" in lines[0]
    assert lines[1].endswith("Succeeded  1.5 s")


def test_steps_of_the_same_name_in_two_pipelines_are_told_apart(console: Console) -> None:
    progress = Progress(console)
    progress.steps("one", [step("Train", "Executing")])
    progress.steps("two", [step("Train", "Executing")])
    assert len(printed(console)) == 2


def test_the_table_has_status_seconds_and_message_of_each_step(console: Console) -> None:
    steps = [step("Gate", "Failed", 0.04, "MSE > 3.0"), step("New", "Starting")]
    show(console, steps_lines("an execution", steps))
    assert printed(console) == [
        "an execution",
        "  Gate  Failed       0.0 s  MSE > 3.0",
        "  New   Starting          ",
    ]


def test_the_title_names_pipeline_execution_and_status() -> None:
    arn = "arn:aws:sagemaker:us-east-1:123456789012:pipeline/abalone/execution/abc"
    assert title(arn, "Stopping") == "abalone, execution abc: [cyan]Stopping[/]"


@pytest.mark.parametrize(
    ("metric", "passed", "expected"),
    [
        (4.5, True, "MSE 4.5 <= threshold 5: [green]accepted[/]"),
        (5.5, False, "MSE 5.5 > threshold 5: [magenta]rejected[/]"),
        (5.00004, False, "MSE 5.00004 > threshold 5: [magenta]rejected[/]"),
    ],
)
def test_the_gate_shows_metric_comparison_and_threshold(
    client: SageMakerClient,
    sagemaker: Stubber,
    monkeypatch: pytest.MonkeyPatch,
    metric: float,
    passed: bool,
    expected: str,
) -> None:
    reading = GateReading(
        metric="mse",
        value=metric,
        threshold=5.0,
        operator="LessThanOrEqualTo",
        passed=passed,
        report_uri="s3://b/r.json",
    )
    monkeypatch.setattr(view, "read_gate", lambda *_: reading)
    answer = {"PipelineDefinition": json.dumps(gated_definition())}
    sagemaker.add_response("describe_pipeline_definition_for_execution", answer)
    assert gate_lines(client, ARN) == [expected]


@pytest.mark.parametrize("definition", [gated_definition(), {"Version": "2020-12-01", "Steps": []}])
def test_nothing_is_shown_without_a_gate_or_before_it_has_a_report(
    client: SageMakerClient, sagemaker: Stubber, monkeypatch: pytest.MonkeyPatch, definition: dict[str, Any]
) -> None:
    def missing(*_: Any) -> GateReading:
        raise EvaluationError("no report")

    monkeypatch.setattr(view, "read_gate", missing)
    answer = {"PipelineDefinition": json.dumps(definition)}
    sagemaker.add_response("describe_pipeline_definition_for_execution", answer)
    assert gate_lines(client, ARN) == []
