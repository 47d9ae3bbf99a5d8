"""Schedules are checked before AWS is asked, and their differences told by name."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from sagemaker_pipelines.aws.schedules import (
    PipelineSchedule,
    point_in_time,
    wrapped,
)
from sagemaker_pipelines.exceptions import ScheduleError

ROLE = "arn:aws:iam::123456789012:role/Scheduler"
SCHEDULE = PipelineSchedule(
    name="nightly",
    pipeline_arn="arn:aws:sagemaker:us-east-1:123456789012:pipeline/abalone",
    role_arn=ROLE,
    expression="cron(0 3 * * ? *)",
    parameters={"MseThreshold": "6.0"},
)


@pytest.mark.parametrize("text", ["0 3 * * ? *", " 0  3 * * ? * ", "cron(0 3 * * ? *)"])
def test_an_expression_may_have_its_kind_around_it(text: str) -> None:
    assert wrapped("cron", text) == "cron(0 3 * * ? *)"


def test_a_time_without_offset_is_of_the_schedules_zone() -> None:
    assert point_in_time("2026-07-01T00:00", "Europe/Berlin") == datetime(2026, 6, 30, 22, tzinfo=UTC)
    assert point_in_time("2026-07-01T00:00+00:00", "Europe/Berlin") == datetime(2026, 7, 1, tzinfo=UTC)
    with pytest.raises(ScheduleError, match="expected ISO 8601"):
        point_in_time("tomorrow", "UTC")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"name": "a b"}, "name is 'a b'"),
        ({"group": "x" * 65}, "group is"),
        ({"role_arn": "Scheduler"}, "role is 'Scheduler', expected an ARN"),
        ({"timezone": "Berlin"}, "expected an IANA name"),
        ({"state": "ON"}, "expected ENABLED or DISABLED"),
        ({"flexible_window": 1441}, "flexible window is 1441, expected 1 to 1440"),
        ({"flexible_window": 0}, "flexible window is 0"),
        ({"max_event_age": 59}, "expected 60 to 86400"),
        ({"max_retries": 186}, "expected 0 to 185"),
        ({"dead_letter_arn": "https://queue"}, "expected the ARN of an SQS queue"),
        (
            {"start": datetime(2026, 1, 2, tzinfo=UTC), "end": datetime(2026, 1, 2, tzinfo=UTC)},
            "expected a time after its start",
        ),
    ],
)
def test_what_aws_would_refuse_is_refused_before(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ScheduleError) as caught:
        replace(SCHEDULE, **wrong)
    assert said in str(caught.value)


def test_differences_are_told_by_name_and_parameter() -> None:
    wanted = replace(SCHEDULE, state="DISABLED", parameters={"InputData": "s3://b/x"})
    assert SCHEDULE.changes_to(wanted) == {
        "state": ("ENABLED", "DISABLED"),
        "parameters.MseThreshold": ("6.0", None),
        "parameters.InputData": (None, "s3://b/x"),
    }
    assert SCHEDULE.changes_to(replace(SCHEDULE)) == {}


def test_a_start_that_has_passed_is_the_same_as_none_and_is_not_sent() -> None:
    begun = replace(SCHEDULE, start=datetime(2026, 1, 1, tzinfo=UTC))
    assert "StartDate" not in begun.request()
    assert begun.changes_to(SCHEDULE) == SCHEDULE.changes_to(begun) == {}
    coming = replace(SCHEDULE, start=datetime(2199, 1, 1, tzinfo=UTC))
    assert coming.request()["StartDate"] == coming.start
    assert SCHEDULE.changes_to(coming).keys() == {"start"}


def test_a_schedule_of_something_else_is_refused() -> None:
    answer = {"Name": "other", "Target": {"Arn": "arn:aws:lambda:us-east-1:1:function:f", "RoleArn": ROLE}}
    with pytest.raises(ScheduleError, match="expected a SageMaker pipeline"):
        PipelineSchedule.from_answer(answer)
