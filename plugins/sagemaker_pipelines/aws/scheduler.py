"""Call EventBridge Scheduler for schedules that start pipelines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from sagemaker_pipelines.aws.errors import code_of, is_missing
from sagemaker_pipelines.aws.schedules import PipelineSchedule
from sagemaker_pipelines.exceptions import ScheduleError


@dataclass(frozen=True)
class SchedulePut:
    """The result of :meth:`EventBridgeScheduler.put_schedule`.

    :param outcome: ``"created"``, ``"updated"`` or ``"unchanged"``.
    :param changes: what an update changed: name to the values before and after.
    """

    outcome: str
    changes: dict[str, tuple[Any, Any]]


class EventBridgeScheduler:
    """The calls of EventBridge Scheduler.

    https://docs.aws.amazon.com/scheduler/latest/APIReference/Welcome.html

    :param client: the boto3 client of ``scheduler``.
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    def get_schedule(self, name: str, *, group: str = "default") -> PipelineSchedule | None:
        """Return a schedule; None if there is no schedule with this name.

        :raises ScheduleError: it starts something other than a pipeline.
        """
        try:
            answer = self._client.get_schedule(Name=name, GroupName=group)
        except ClientError as error:
            if is_missing(error):
                return None
            raise
        return PipelineSchedule.from_answer(answer)

    def put_schedule(self, schedule: PipelineSchedule, *, dry_run: bool = False) -> SchedulePut:
        """Create a schedule, or update it if it differs; an equal one is not written.

        :param schedule: the schedule as it should be.
        :param dry_run: only report what would be done.
        :raises ScheduleError: its group does not exist, or EventBridge Scheduler refuses it.
        """
        present = self.get_schedule(schedule.name, group=schedule.group)
        if present is None:
            if not self.has_group(schedule.group):
                raise ScheduleError(
                    f"There is no schedule group {schedule.group!r} in {self._client.meta.region_name}. "
                    f"Create it (aws scheduler create-schedule-group --name {schedule.group}), or use "
                    "'default'."
                )
            if not dry_run:
                self._write("create_schedule", schedule)
            return SchedulePut("created", {})
        changes = present.changes_to(schedule)
        if not changes:
            return SchedulePut("unchanged", {})
        if not dry_run:
            self._write("update_schedule", schedule)
        return SchedulePut("updated", changes)

    def _write(self, operation: str, schedule: PipelineSchedule) -> None:
        try:
            getattr(self._client, operation)(**schedule.request())
        except ClientError as error:
            if code_of(error) != "ValidationException":
                raise
            message = error.response["Error"].get("Message", "")
            raise ScheduleError(
                f"EventBridge Scheduler refuses the schedule {schedule.name!r} with {schedule.expression!r}: "
                f"{message.rstrip('.')}. A cron expression has six fields, of which either the day of month "
                "or the day of week is '?', such as '0 3 * * ? *'; a rate is a number and its unit, such as "
                "'12 hours'. Nothing was written."
            ) from error

    def has_group(self, group: str) -> bool:
        """Return whether a schedule group exists."""
        try:
            self._client.get_schedule_group(Name=group)
        except ClientError as error:
            if is_missing(error):
                return False
            raise
        return True

    def list_schedules(
        self, *, name_prefix: str = "", group: str | None = None
    ) -> Iterator[PipelineSchedule]:
        """Yield the schedules that start pipelines, from all pages.

        :param name_prefix: the beginning of their names.
        :param group: their group; None means all groups.
        """
        filters = {"NamePrefix": name_prefix} if name_prefix else {}
        if group:
            filters["GroupName"] = group
        for page in self._client.get_paginator("list_schedules").paginate(**filters):
            for summary in page["Schedules"]:
                # The list contains neither times nor parameters.
                if ":pipeline/" in summary["Target"]["Arn"]:
                    schedule = self.get_schedule(summary["Name"], group=summary["GroupName"])
                    if schedule is not None:
                        yield schedule

    def delete_schedule(self, name: str, *, group: str = "default") -> bool:
        """Delete a schedule and return whether it existed.

        :raises ScheduleError: it starts something other than a pipeline, and is not deleted.
        """
        if self.get_schedule(name, group=group) is None:
            return False
        try:
            self._client.delete_schedule(Name=name, GroupName=group)
        except ClientError as error:
            if is_missing(error):
                return False
            raise
        return True
