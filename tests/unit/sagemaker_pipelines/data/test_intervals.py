"""What a run is about, and that intervals and partitions cover time exactly once."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from airflow.timetables.base import DagRunInfo, DataInterval, TimeRestriction
from airflow.timetables.interval import CronDataIntervalTimetable, DeltaDataIntervalTimetable
from airflow.timetables.trigger import CronTriggerTimetable
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pendulum import instance

from sagemaker_pipelines.data.intervals import RunInterval, is_interval_driven, run_interval
from sagemaker_pipelines.data.partitions import Partitions
from sagemaker_pipelines.exceptions import IntervalError

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]
STUCK = ("Australia/Lord_Howe", "@hourly")
ENVIRONMENT = {"artifact_bucket": "bucket", "name_prefix": "dev-"}
DAILY = "s3://bucket/train/dt={date}/"
HOURLY = "s3://bucket/train/dt={date}/hour={hour}/"


def at(text: str, zone: str = "UTC") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


def context(
    run_type: str = "scheduled",
    interval: tuple[datetime, datetime] | None = None,
    params: dict[str, Any] | None = None,
    payloads: list[dict[str, Any]] | None = None,
) -> Any:
    start, end = interval or (None, None)
    run = SimpleNamespace(
        run_type=run_type,
        data_interval_start=start,
        data_interval_end=end,
        run_after=at("2026-01-03T04:05:06"),
    )
    events = [
        SimpleNamespace(extra={"payload": {"event_id": str(number), "order": str(number), **payload}})
        for number, payload in enumerate(payloads or [])
    ]
    return {"dag_run": run, "params": params or {}, "triggering_asset_events": {"asset": events}}


DAY = (at("2026-01-02T00:00:00"), at("2026-01-03T00:00:00"))
FORM = {"IntervalStart": "2026-01-01T00:00:00Z", "IntervalEnd": "2026-01-02T00:00:00+00:00"}
NAMED = {"interval_start": "2026-01-04T00:00:00+00:00", "interval_end": "2026-01-05T00:00:00+00:00"}
LATER = {"interval_start": "2026-01-05T00:00:00+00:00", "interval_end": "2026-01-06T00:00:00+00:00"}
MOMENT = "2026-01-03T04:05:06Z/2026-01-03T04:05:06Z"


@pytest.mark.parametrize(
    ("made", "interval", "driven"),
    [
        (context("scheduled", DAY), "2026-01-02T00:00:00Z/2026-01-03T00:00:00Z", True),
        (context("backfill", DAY), "2026-01-02T00:00:00Z/2026-01-03T00:00:00Z", True),
        (context("manual", DAY), "2026-01-02T00:00:00Z/2026-01-03T00:00:00Z", False),
        (context("manual"), MOMENT, False),
        (context("manual", DAY, FORM), "2026-01-01T00:00:00Z/2026-01-02T00:00:00Z", True),
        (
            context("asset_triggered", None, {}, [LATER, NAMED]),
            "2026-01-04T00:00:00Z/2026-01-06T00:00:00Z",
            True,
        ),
        (context("asset_triggered", None, {}, [{"uri": "s3://bucket/x"}]), MOMENT, False),
        (context("asset_triggered"), MOMENT, False),
    ],
    ids=["scheduled", "backfill", "manual", "manual-null", "form", "events", "events-without", "asset"],
)
def test_every_kind_of_run_has_its_interval(made: Any, interval: str, driven: bool) -> None:
    assert (str(run_interval(made)), is_interval_driven(made)) == (interval, driven)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"IntervalStart": "2026-01-01T00:00:00Z"}, "fill in both"),
        ({"IntervalStart": "yesterday", "IntervalEnd": "2026-01-01T00:00:00Z"}, "'yesterday' is not a date"),
        ({"IntervalStart": "2026-01-01", "IntervalEnd": "2026-01-02"}, "has no time zone"),
        ({**FORM, "IntervalStart": "2026-02-01T00:00:00Z"}, "expected a time that is not before its start"),
    ],
)
def test_a_form_that_holds_no_interval_says_what_is_wrong(params: dict[str, Any], message: str) -> None:
    with pytest.raises(IntervalError, match=message):
        run_interval(context("manual", None, params))


def runs(timetable: Any, first: datetime, count: int) -> list[RunInterval]:
    """Return the intervals that a timetable makes, one after the other."""
    found: list[RunInterval] = []
    last: DataInterval | None = None
    for _ in range(count):
        info: DagRunInfo | None = timetable.next_dagrun_info(
            last_automated_data_interval=last,
            restriction=TimeRestriction(earliest=instance(first), latest=None, catchup=True),
        )
        assert info is not None
        last = info.data_interval
        assert last is not None
        found.append(RunInterval(last.start, last.end))
    return found


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(
    "first",
    [
        date(2026, 3, 7),
        date(2026, 3, 27),
        date(2026, 4, 3),
        date(2026, 10, 2),
        date(2026, 10, 23),
        date(2026, 10, 30),
    ],
)
@pytest.mark.parametrize("cron", ["@hourly", "@daily", "30 2 * * *", "@weekly", "0 */6 * * 1-5"])
def test_runs_tile_time_over_a_change_of_the_clocks(zone: str, first: date, cron: str) -> None:
    if (zone, cron) == STUCK:
        pytest.skip("Airflow 3.3.2 raises at the half-hour change: 'did not advance past'")
    intervals = runs(CronDataIntervalTimetable(cron, timezone=zone), at(f"{first}T00:00:00", zone), 30)
    for earlier, later in pairwise(intervals):
        assert earlier.end == later.start
        assert earlier.start < earlier.end


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(
    "first", [date(2026, 3, 7), date(2026, 3, 27), date(2026, 10, 23), date(2026, 10, 30)]
)
def test_each_daily_run_has_the_one_partition_of_its_day(zone: str, first: date) -> None:
    partitions = Partitions(DAILY, timezone=zone)
    intervals = runs(CronDataIntervalTimetable("@daily", timezone=zone), at(f"{first}T00:00:00", zone), 5)
    assert [partitions.uri(interval, ENVIRONMENT) for interval in intervals] == [
        f"s3://bucket/train/dt={first + timedelta(days=number)}/" for number in range(5)
    ]


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("UTC", "2026-03-29", 24),
        ("Europe/Berlin", "2026-03-29", 23),
        ("Europe/Berlin", "2026-10-25", 25),
        ("America/New_York", "2026-03-08", 23),
        ("America/New_York", "2026-11-01", 25),
        ("Asia/Kolkata", "2026-10-25", 24),
        ("Australia/Lord_Howe", "2026-04-05", 24.5),
        ("Australia/Lord_Howe", "2026-10-04", 23.5),
    ],
)
def test_a_day_is_as_long_as_its_zone_makes_it_and_has_one_partition(
    zone: str, day: str, hours: float
) -> None:
    (interval,) = runs(CronDataIntervalTimetable("@daily", timezone=zone), at(f"{day}T00:00:00", zone), 1)
    length = interval.end.astimezone(UTC) - interval.start.astimezone(UTC)
    assert length == timedelta(hours=hours)
    assert Partitions(DAILY, timezone=zone).uris(interval, ENVIRONMENT) == [f"s3://bucket/train/dt={day}/"]


@pytest.mark.parametrize(
    ("zone", "day", "labels"),
    [
        ("UTC", "2026-03-29", 24),
        # 02 does not exist, and 02 exists twice but is one partition.
        ("Europe/Berlin", "2026-03-29", 23),
        ("Europe/Berlin", "2026-10-25", 24),
        ("Australia/Lord_Howe", "2026-10-04", 24),
    ],
)
def test_hourly_partitions_are_named_by_the_hours_that_the_clock_shows(
    zone: str, day: str, labels: int
) -> None:
    (interval,) = runs(CronDataIntervalTimetable("@daily", timezone=zone), at(f"{day}T00:00:00", zone), 1)
    uris = Partitions(HOURLY, timezone=zone).uris(interval, ENVIRONMENT)
    assert len(uris) == len(set(uris)) == labels
    assert all(f"dt={day}/" in uri for uri in uris)


def test_a_delta_timetable_has_intervals_too() -> None:
    intervals = runs(DeltaDataIntervalTimetable(timedelta(days=1)), at("2026-01-01T00:00:00"), 3)
    assert [Partitions(DAILY).uri(interval, ENVIRONMENT)[-11:] for interval in intervals] == [
        "2026-01-01/",
        "2026-01-02/",
        "2026-01-03/",
    ]


def test_a_trigger_timetable_is_about_a_moment_in_which_no_partition_lies() -> None:
    (interval,) = runs(CronTriggerTimetable("@daily", timezone="UTC"), at("2026-01-01T00:00:00"), 1)
    with pytest.raises(IntervalError, match="CronDataIntervalTimetable"):
        Partitions(DAILY).uri(interval, ENVIRONMENT)


@pytest.mark.parametrize(
    ("template", "count"),
    [(DAILY, 7), ("s3://bucket/{start:%Y-%m-%d}/", 7), ("s3://bucket/{start:%Y-%m}/", 2)],
)
def test_more_partitions_than_a_parameter_holds_are_refused_and_none_is_left_out(
    template: str, count: int
) -> None:
    week = RunInterval(at("2026-01-26T00:00:00"), at("2026-02-02T00:00:00"))
    partitions = Partitions(template)
    assert len(partitions.uris(week, ENVIRONMENT)) == count
    with pytest.raises(IntervalError, match=f"covers {count} partitions.*schedule that matches"):
        partitions.uri(week, ENVIRONMENT)


def test_coarser_partitions_and_results_have_one_uri_for_a_week() -> None:
    week = RunInterval(at("2026-01-05T00:00:00"), at("2026-01-12T00:00:00"))
    weekly = Partitions("s3://{artifact_bucket}/{name_prefix}w/{start:%G-W%V}/")
    assert weekly.uri(week, ENVIRONMENT) == "s3://bucket/dev-w/2026-W02/"
    assert Partitions(DAILY).prefix(week, ENVIRONMENT) == "s3://bucket/train/dt=2026-01-05/"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("s3://bucket/dt={day}/", "unknown|has the field 'day'"),
        ("s3://bucket/train/", "has no time field"),
        ("bucket/dt={date}/", "is not an S3 URI"),
    ],
)
def test_a_template_that_selects_nothing_is_refused(template: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Partitions(template)


@pytest.mark.parametrize(
    ("template", "manifest", "message"),
    [
        (DAILY, "manifests/", "'manifests/' is not an S3 URI"),
        (DAILY, "s3://bucket/manifests/{date}/", "The manifest .* has the field 'date'"),
        ("s3://data-{date}/rows/", "s3://bucket/manifests/", "lists the objects of one bucket"),
    ],
)
def test_a_manifest_that_cannot_be_is_refused(template: str, manifest: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Partitions(template, manifest=manifest)


def test_a_zone_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone 'Europe/Berln' does not exist"):
        Partitions(DAILY, timezone="Europe/Berln")


MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))


@settings(deadline=None)
@given(
    moments=st.lists(MOMENTS, min_size=3, max_size=6, unique=True),
    zone=st.sampled_from(ZONES),
)
def test_adjoining_intervals_leave_no_partition_out_and_share_at_most_the_one_they_meet_in(
    moments: list[datetime], zone: str
) -> None:
    partitions = Partitions(DAILY, timezone=zone)
    edges = sorted(moments)
    whole = partitions.uris(RunInterval(edges[0], edges[-1]), ENVIRONMENT)
    parts = [partitions.uris(RunInterval(start, end), ENVIRONMENT) for start, end in pairwise(edges)]
    assert list(dict.fromkeys(uri for part in parts for uri in part)) == whole
    for earlier, later in pairwise(parts):
        assert set(earlier) & set(later) <= {earlier[-1]}


@settings(max_examples=30, deadline=None)
@given(
    first=st.dates(date(2020, 1, 1), date(2035, 1, 1)),
    zone=st.sampled_from(ZONES),
    cron=st.sampled_from(["@daily", "@hourly", "@weekly", "15 3 * * *", "0 */6 * * 1-5"]),
)
def test_a_schedules_intervals_tile_time_wherever_it_begins(first: date, zone: str, cron: str) -> None:
    assume((zone, cron) != STUCK)
    intervals = runs(CronDataIntervalTimetable(cron, timezone=zone), at(f"{first}T00:00:00", zone), 20)
    assert all(a.end == b.start for a, b in pairwise(intervals))
    assert all(interval.start < interval.end for interval in intervals)


@settings(max_examples=30, deadline=None)
@given(first=st.dates(date(2020, 1, 1), date(2035, 1, 1)), zone=st.sampled_from(ZONES))
def test_daily_runs_have_all_days_each_once(first: date, zone: str) -> None:
    partitions = Partitions(DAILY, timezone=zone)
    intervals = runs(CronDataIntervalTimetable("@daily", timezone=zone), at(f"{first}T00:00:00", zone), 20)
    days = [partitions.uri(interval, ENVIRONMENT)[-11:-1] for interval in intervals]
    assert days == [str(date.fromisoformat(days[0]) + timedelta(days=number)) for number in range(20)]
