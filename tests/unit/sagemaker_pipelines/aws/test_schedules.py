"""Schedules are checked before AWS is asked, and their differences told by name."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from sagemaker_pipelines.aws.schedules import (
    PipelineSchedule,
    cron_expression,
    point_in_time,
    rate_expression,
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


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("0 3 * * ? *", "cron(0 3 * * ? *)"),
        ("cron(0/15 8-17 ? * mon-fri 2026,2027)", "cron(0/15 8-17 ? * MON-FRI 2026,2027)"),
        ("0 0 L * ? *", "cron(0 0 L * ? *)"),
        ("0 0 15W jan,JUL ? *", "cron(0 0 15W JAN,JUL ? *)"),
        ("0 0 ? * 6L *", "cron(0 0 ? * 6L *)"),
        ("0 0 ? * MON#2 *", "cron(0 0 ? * MON#2 *)"),
    ],
)
def test_a_cron_expression_is_written_as_aws_reads_it(text: str, expression: str) -> None:
    assert cron_expression(text) == expression


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0 3 * * *", "has 5 fields, expected six"),
        ("60 3 * * ? *", "'60' as minutes, expected 0 to 59"),
        ("0 24 * * ? *", "'24' as hours"),
        ("0 3 0 * ? *", "'0' as day of month, expected 1 to 31"),
        ("0 3 * FOO ? *", "'FOO' as month, expected 1 to 12 or JAN to DEC"),
        ("0 3 ? * 0 *", "'0' as day of week, expected 1 to 7 or SUN to SAT"),
        ("0 3 * * ? 1969", "'1969' as year"),
        ("0/0 3 * * ? *", "'0/0' as minutes"),
        ("\N{ARABIC-INDIC DIGIT SIX} 3 * * ? *", "as minutes, expected 0 to 59"),
        ("1-2-3 3 * * ? *", "'1-2-3' as minutes"),
        ("0 3 * * * *", "exactly one of them has to be '?'"),
        ("0 3 ? * ? *", "exactly one of them has to be '?'"),
    ],
)
def test_a_wrong_cron_expression_is_refused_with_its_field(text: str, said: str) -> None:
    with pytest.raises(ScheduleError) as caught:
        cron_expression(text)
    assert said in str(caught.value)


@pytest.mark.parametrize("text", ["1 day", "rate(12 hours)", "30  minutes"])
def test_a_rate_is_written_as_aws_reads_it(text: str) -> None:
    assert rate_expression(text) == f"rate({text.removeprefix('rate(').rstrip(')').replace('  ', ' ')})"


@pytest.mark.parametrize(
    "text",
    ["1 days", "2 day", "0 minutes", "1.5 hours", "3 weeks", "daily", "\N{ARABIC-INDIC DIGIT SIX} hours"],
)
def test_a_wrong_rate_is_refused(text: str) -> None:
    with pytest.raises(ScheduleError, match="such as '1 day', '12 hours'"):
        rate_expression(text)


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
    with pytest.raises(ScheduleError, match="no SageMaker pipeline"):
        PipelineSchedule.from_answer(answer)
