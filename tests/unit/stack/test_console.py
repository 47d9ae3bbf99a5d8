from __future__ import annotations

import io

import pytest
from rich.console import Console

from local_runtime.progress import StepState, Verdict
from stack.console import Progress, predictions_lines, show, steps_lines, title_of, verdict_line
from stack.execution import Predictions


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=160)


def printed(console: Console) -> list[str]:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def step(name: str, status: str, seconds: float = 0.0, message: str | None = None) -> StepState:
    metadata = {"Fail": {"ErrorMessage": message}} if message else {}
    return StepState(name=name, status=status, seconds=seconds, failure_reason=None, metadata=metadata)


def test_a_line_is_printed_only_when_a_state_changes(console: Console) -> None:
    progress = Progress(console)
    for status in ("Executing", "Executing", "Succeeded", "Succeeded"):
        progress.steps("abalone", [step("Train", status, 1.5)])
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
        "  New   Starting     0.0 s",
    ]


def test_the_title_names_pipeline_execution_and_status() -> None:
    arn = "arn:aws:sagemaker:us-east-1:123456789012:pipeline/abalone/execution/abc"
    assert title_of(arn, "Stopping") == "abalone, execution abc: Stopping"


@pytest.mark.parametrize(
    ("metric", "passed", "expected"),
    [
        (4.5, True, "MSE 4.5000 <= threshold 5: [green]accepted[/]"),
        (5.5, False, "MSE 5.5000 > threshold 5: [magenta]rejected[/]"),
    ],
)
def test_the_verdict_compares_metric_and_threshold(metric: float, passed: bool, expected: str) -> None:
    verdict = Verdict(metric=metric, operator="LessThanOrEqualTo", threshold=5.0, passed=passed)
    assert verdict_line(verdict) == expected


def test_the_predictions_are_counted_and_the_first_five_shown() -> None:
    count, first = predictions_lines(Predictions(uri="s3://b/p.out", values=[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]))
    assert count == "6 predictions in s3://b/p.out"
    assert first == "the first 5: 1.000, 2.000, 3.000, 4.000, 5.000"
