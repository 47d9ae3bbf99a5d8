"""Read what a DAG takes as its schedule."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import Asset, AssetAll, AssetAny, CronDataIntervalTimetable, DeltaDataIntervalTimetable

#: Airflow's names for schedules that are not a cron text.
ONCE, CONTINUOUS = "@once", "@continuous"


def timetable_of(schedule: Any, timezone: str = "UTC") -> Any:
    """Return a schedule whose runs have data intervals; Airflow's own reading of a cron text has none.

    :param schedule: a cron text, a timedelta, or anything else that a DAG takes, which is left as it is.
    :param timezone: of a cron text.
    """
    if isinstance(schedule, str) and schedule not in (ONCE, CONTINUOUS):
        return CronDataIntervalTimetable(schedule, timezone=timezone)
    if isinstance(schedule, timedelta):
        return DeltaDataIntervalTimetable(schedule)
    return schedule


def watched_assets(schedule: Any) -> list[Asset]:
    """Return the assets of a schedule that triggers watch.

    :param schedule: anything that a DAG takes.
    """
    if isinstance(schedule, Asset):
        return [schedule] if schedule.watchers else []
    if isinstance(schedule, AssetAny | AssetAll):
        return watched_assets(schedule.objects)
    if isinstance(schedule, list | tuple | set | frozenset):
        return [asset for item in schedule for asset in watched_assets(item)]
    return []
