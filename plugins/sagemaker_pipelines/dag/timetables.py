"""Interpret the schedule of a DAG."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import Asset, AssetAll, AssetAny, CronDataIntervalTimetable, DeltaDataIntervalTimetable

#: Airflow's names for schedules that are not cron expressions.
ONCE, CONTINUOUS = "@once", "@continuous"


def timetable_of(schedule: Any, timezone: str = "UTC") -> Any:
    """Return a schedule whose runs have data intervals; a plain cron expression in Airflow has none.

    :param schedule: a cron expression, a timedelta, or any other schedule of a DAG, which stays as it is.
    :param timezone: the time zone of a cron expression.
    """
    if isinstance(schedule, str) and schedule not in (ONCE, CONTINUOUS):
        return CronDataIntervalTimetable(schedule, timezone=timezone)
    if isinstance(schedule, timedelta):
        return DeltaDataIntervalTimetable(schedule)
    return schedule


def watched_assets(schedule: Any) -> list[Asset]:
    """Return the Airflow assets of a schedule that are watched by triggers.

    :param schedule: any schedule of a DAG.
    """
    if isinstance(schedule, Asset):
        return [schedule] if schedule.watchers else []
    if isinstance(schedule, AssetAny | AssetAll):
        return watched_assets(schedule.objects)
    if isinstance(schedule, list | tuple | set | frozenset):
        return [asset for item in schedule for asset in watched_assets(item)]
    return []
