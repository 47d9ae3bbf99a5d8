"""Schedules over HTTP: an equal one is not written, a changed one tells what has changed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sagemaker_local_runtime.testing import LocalRuntime, local_runtime
from sagemaker_pipelines.aws.scheduler import EventBridgeScheduler
from sagemaker_pipelines.aws.schedules import PipelineSchedule
from sagemaker_pipelines.exceptions import ScheduleError
from tests.unit.sagemaker_pipelines.aws.test_schedules import ROLE, SCHEDULE

__all__ = ["local_runtime"]

START = (datetime.now(UTC) + timedelta(days=1)).replace(microsecond=0)
FULL = PipelineSchedule(
    name="weekly",
    pipeline_arn=SCHEDULE.pipeline_arn,
    role_arn=ROLE,
    expression="cron(0 3 ? * MON *)",
    timezone="Europe/Berlin",
    parameters={"InputData": "s3://b/x", "MseThreshold": "6.0"},
    description="each week",
    state="DISABLED",
    start=START,
    end=START + timedelta(days=365),
    flexible_window=15,
    dead_letter_arn="arn:aws:sqs:us-east-1:123456789012:dead",
    max_event_age=3600,
    max_retries=0,
)


@pytest.fixture
def scheduler(local_runtime: LocalRuntime) -> EventBridgeScheduler:
    return EventBridgeScheduler(local_runtime.client("scheduler"))


def test_what_is_put_is_read_again_whole(scheduler: EventBridgeScheduler) -> None:
    for schedule in (SCHEDULE, FULL):
        assert scheduler.put_schedule(schedule).outcome == "created"
        assert scheduler.get_schedule(schedule.name) == schedule


def test_an_equal_schedule_is_not_written(
    scheduler: EventBridgeScheduler, local_runtime: LocalRuntime
) -> None:
    scheduler.put_schedule(FULL)
    put = scheduler.put_schedule(FULL)
    assert (put.outcome, put.changes) == ("unchanged", {})
    calls = local_runtime.calls()
    assert (calls["scheduler:CreateSchedule"], calls.get("scheduler:UpdateSchedule", 0)) == (1, 0)


def test_a_changed_schedule_is_updated_and_told(scheduler: EventBridgeScheduler) -> None:
    scheduler.put_schedule(FULL)
    wanted = replace(FULL, state="ENABLED", dead_letter_arn=None, flexible_window=None)
    assert scheduler.put_schedule(wanted, dry_run=True).outcome == "updated"
    assert scheduler.get_schedule("weekly") == FULL
    put = scheduler.put_schedule(wanted)
    assert put.outcome == "updated"
    assert put.changes.keys() == {"state", "dead_letter_arn", "flexible_window"}
    assert scheduler.get_schedule("weekly") == wanted


def test_a_missing_group_is_named_with_the_cure(
    scheduler: EventBridgeScheduler, local_runtime: LocalRuntime
) -> None:
    grouped = replace(SCHEDULE, group="ml")
    with pytest.raises(ScheduleError, match="create-schedule-group --name ml"):
        scheduler.put_schedule(grouped)
    local_runtime.client("scheduler").create_schedule_group(Name="ml")
    assert scheduler.put_schedule(grouped).outcome == "created"
    assert scheduler.get_schedule("nightly") is None


def test_only_schedules_of_pipelines_are_listed_and_deleted(
    scheduler: EventBridgeScheduler, local_runtime: LocalRuntime
) -> None:
    scheduler.put_schedule(SCHEDULE)
    scheduler.put_schedule(FULL)
    local_runtime.client("scheduler").create_schedule(
        Name="other",
        ScheduleExpression="rate(1 day)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": "arn:aws:sqs:us-east-1:123456789012:q", "RoleArn": ROLE},
    )
    assert {schedule.name for schedule in scheduler.list_schedules()} == {"nightly", "weekly"}
    assert [schedule.name for schedule in scheduler.list_schedules(name_prefix="n", group="default")] == [
        "nightly"
    ]
    with pytest.raises(ScheduleError, match="expected a SageMaker pipeline"):
        scheduler.delete_schedule("other")
    assert (scheduler.delete_schedule("nightly"), scheduler.delete_schedule("nightly")) == (True, False)
