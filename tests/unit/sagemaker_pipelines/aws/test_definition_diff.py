"""What an upsert's log shows of a change."""

from __future__ import annotations

from typing import Any

from sagemaker_pipelines.aws.definition_diff import MAX_DIFF_LINES, MAX_LINE_LENGTH, definition_diff
from sagemaker_pipelines.masking import masked


def diff(before: Any, after: Any) -> str:
    return definition_diff(before, after, masked=masked)


def step(**environment: Any) -> dict[str, Any]:
    return {"Steps": [{"Name": "Train", "Arguments": {"Environment": environment}}]}


def test_the_environment_of_a_job_shows_no_secret() -> None:
    shown = diff(step(DB_PASSWORD="old", MODE="fast"), step(DB_PASSWORD="new", MODE="slow"))
    assert '-          "MODE": "fast"' in shown
    assert '"DB_PASSWORD": "***"' in shown
    assert not {"old", "new"} & {word.strip('"') for word in shown.split()[4:]}


def test_a_change_of_secrets_only_is_told_as_such() -> None:
    assert diff(step(DB_PASSWORD="old"), step(DB_PASSWORD="new")) == "only values that are masked"
    assert diff(step(), step()) == "only the role, description or parallelism"


def test_a_diff_is_bounded_in_lines_and_in_the_length_of_a_line() -> None:
    many = {f"NAME_{number}": "x" * 10_000 for number in range(1000)}
    lines = diff(step(), step(**many)).splitlines()
    assert len(lines) == MAX_DIFF_LINES + 1
    assert lines[-1].endswith("more lines")
    assert max(map(len, lines)) == MAX_LINE_LENGTH
    assert "characters in all)" in lines[100]
