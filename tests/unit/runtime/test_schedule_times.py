"""Schedules are due when AWS's expressions say so."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sagemaker_local_runtime.services.schedule_times import check_expression, next_time
from sagemaker_pipelines.exceptions import ScheduleError

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)  # a Thursday


def times(expression: str, count: int = 3, timezone: str = "UTC", after: datetime = NEW_YEAR) -> list[str]:
    """Return the next times in UTC, without their seconds and zone."""
    found: list[str] = []
    position: datetime | None = after
    while len(found) < count:
        assert position is not None
        position = next_time(expression, position, anchor=after, timezone=timezone)
        if position is None:
            break
        found.append(position.astimezone(UTC).strftime("%Y-%m-%dT%H:%M"))
    return found


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("rate(12 hours)", ["2026-01-01T12:00", "2026-01-02T00:00", "2026-01-02T12:00"]),
        ("rate(1 day)", ["2026-01-02T00:00", "2026-01-03T00:00", "2026-01-04T00:00"]),
        ("at(2026-03-01T09:30:00)", ["2026-03-01T09:30"]),
        ("at(2025-03-01T09:30:00)", []),
        ("cron(0 3 * * ? *)", ["2026-01-01T03:00", "2026-01-02T03:00", "2026-01-03T03:00"]),
        ("cron(0/20 8 ? * MON-FRI *)", ["2026-01-01T08:00", "2026-01-01T08:20", "2026-01-01T08:40"]),
        ("cron(0 3 ? * 1 *)", ["2026-01-04T03:00", "2026-01-11T03:00", "2026-01-18T03:00"]),
        ("cron(0 3 ? * SAT-SUN *)", ["2026-01-03T03:00", "2026-01-04T03:00", "2026-01-10T03:00"]),
        ("cron(0 3 ? * 2/2 *)", ["2026-01-02T03:00", "2026-01-05T03:00", "2026-01-07T03:00"]),
        ("cron(0 3 ? * 6#2 *)", ["2026-01-09T03:00", "2026-02-13T03:00", "2026-03-13T03:00"]),
        ("cron(0 3 ? * FRIL *)", ["2026-01-30T03:00", "2026-02-27T03:00", "2026-03-27T03:00"]),
        ("cron(0 3 ? * L *)", ["2026-01-03T03:00", "2026-01-10T03:00", "2026-01-17T03:00"]),
        ("cron(0 3 L * ? *)", ["2026-01-31T03:00", "2026-02-28T03:00", "2026-03-31T03:00"]),
        ("cron(0 3 15W * ? *)", ["2026-01-15T03:00", "2026-02-16T03:00", "2026-03-16T03:00"]),
        ("cron(0 3 1 JAN ? 2027)", ["2027-01-01T03:00"]),
        ("cron(0 3 1 1 ? 2030/5)", ["2030-01-01T03:00", "2035-01-01T03:00", "2040-01-01T03:00"]),
        ("cron(0 3 1 1 ? 2150)", ["2150-01-01T03:00"]),
        ("cron(0 3 1 1 ? 2025)", []),
        ("cron(0 3 30 2 ? *)", []),
    ],
)
def test_the_next_times_of_an_expression(expression: str, expected: list[str]) -> None:
    check_expression(expression)
    assert times(expression) == expected


def test_a_cron_expression_is_read_in_its_time_zone() -> None:
    after = datetime(2026, 3, 27, tzinfo=UTC)
    assert times("cron(0 3 * * ? *)", timezone="Europe/Berlin", after=after) == [
        "2026-03-27T02:00",
        "2026-03-28T02:00",
        "2026-03-29T01:00",
    ]
    assert times("at(2026-07-01T12:00:00)", timezone="Europe/Berlin") == ["2026-07-01T10:00"]


def test_a_time_that_the_clock_skips_does_not_come_and_one_that_comes_twice_comes_once() -> None:
    """Berlin skips 02:30 on 29 March 2026, and has it twice on 25 October."""
    spring, autumn = datetime(2026, 3, 28, 12, tzinfo=UTC), datetime(2026, 10, 24, 12, tzinfo=UTC)
    half_past_two = "cron(30 2 * * ? *)"
    assert times(half_past_two, 2, "Europe/Berlin", spring) == ["2026-03-30T00:30", "2026-03-31T00:30"]
    assert times(half_past_two, 2, "Europe/Berlin", autumn) == ["2026-10-25T00:30", "2026-10-26T01:30"]


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("daily", "expected at"),
        ("rate(1 week)", "expected a positive number and its unit"),
        ("cron(0 3 * * *)", "five|expected six"),
        ("cron(0 3 LW * ? *)", "does not support"),
    ],
)
def test_an_expression_that_is_not_known_is_refused(expression: str, message: str) -> None:
    with pytest.raises(ScheduleError, match=message):
        check_expression(expression)
