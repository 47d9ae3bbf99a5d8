"""Which partitions of the data in S3 an interval covers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sagemaker_pipelines.exceptions import IntervalError
from sagemaker_pipelines.intervals import RunInterval

_FIELD = re.compile(r"\{(\w+)(?::([^{}]+))?\}")
_ENVIRONMENT_FIELDS = {"artifact_bucket", "name_prefix"}
_FIELDS = _ENVIRONMENT_FIELDS | {"date", "hour", "start", "end"}
# Every zone's offset from UTC, and every change of it, is a multiple of this.
_QUARTER = timedelta(minutes=15)


@dataclass(frozen=True)
class Partitions:
    """Where the partitions of a data set are in S3.

    ``{date}`` makes them daily (``dt={date}/`` gives ``dt=2026-01-02/``), ``{date}`` with ``{hour}``
    hourly. ``{start:%Y-%m}`` and ``{end:...}`` format the interval's ends as strftime does, for coarser
    partitions. ``{artifact_bucket}`` and ``{name_prefix}`` come from the environment.

    :param template: an S3 URI with these fields.
    :param timezone: the calendar's time zone, an IANA name: where a day begins and ends.
    :raises ValueError: the template has no field of time or an unknown one, or there is no such zone.
    """

    template: str
    timezone: str = "UTC"

    def __post_init__(self) -> None:
        """Refuse what could select nothing."""
        fields = {match[1] for match in _FIELD.finditer(self.template)}
        if unknown := fields - _FIELDS:
            raise ValueError(
                f"{self.template!r} has the field {min(unknown)!r}; known are {', '.join(sorted(_FIELDS))}."
            )
        if not fields - _ENVIRONMENT_FIELDS:
            raise ValueError(f"{self.template!r} names no time: write dt={{date}}/ into it.")
        if not self.template.startswith("s3://"):
            raise ValueError(f"{self.template!r} is no S3 URI: begin it with s3://.")
        try:
            ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(
                f"There is no time zone {self.timezone!r}; expected one like Europe/Berlin."
            ) from None

    def uris(self, interval: RunInterval, environment: Mapping[str, str]) -> list[str]:
        """Return the URIs of the partitions that an interval covers or lies in, in the order of time.

        :param interval: of the run.
        :param environment: values of ``artifact_bucket`` and ``name_prefix``.
        :raises IntervalError: the interval is a moment.
        """
        if interval.is_empty:
            raise IntervalError(
                f"The run is about the moment {interval.start.isoformat()}, in which no partition lies. Give "
                "the DAG a timetable with data intervals, such as CronDataIntervalTimetable, or fill in "
                "IntervalStart and IntervalEnd."
            )
        return list(
            dict.fromkeys(self._filled(interval, moment, environment) for moment in self._moments(interval))
        )

    def uri(self, interval: RunInterval, environment: Mapping[str, str]) -> str:
        """Return the URI of the one partition that an interval covers or lies in.

        :raises IntervalError: the interval is a moment, or it covers more than one partition.
        """
        uris = self.uris(interval, environment)
        if len(uris) > 1:
            raise IntervalError(
                f"The interval {interval} covers {len(uris)} partitions, from {uris[0]} to {uris[-1]}, and a "
                "parameter holds one S3 URI. Give the DAG a schedule that matches the partitions, or the "
                "template a coarser field, such as {start:%Y-%m}."
            )
        return uris[0]

    def _moments(self, interval: RunInterval) -> Iterator[datetime]:
        """Yield a moment of each partition, as the calendar's zone tells it."""
        zone = ZoneInfo(self.timezone)
        start, last = (
            interval.start.astimezone(zone),
            (interval.end - timedelta(microseconds=1)).astimezone(zone),
        )
        if "{hour" in self.template:
            # In UTC, as local time repeats and leaves out hours.
            moment = interval.start
            while moment < interval.end:
                yield moment.astimezone(zone)
                moment += _QUARTER
            yield last
        elif "{date" in self.template:
            yield from (
                _midnight(start.date() + timedelta(days=n))
                for n in range((last.date() - start.date()).days + 1)
            )
        else:
            yield start

    def _filled(self, interval: RunInterval, moment: datetime, environment: Mapping[str, str]) -> str:
        zone = ZoneInfo(self.timezone)

        def value(match: re.Match[str]) -> str:
            name, layout = match[1], match[2]
            if name in _ENVIRONMENT_FIELDS:
                return environment[name]
            times = {"start": interval.start.astimezone(zone), "end": interval.end.astimezone(zone)}
            return times.get(name, moment).strftime(layout or _LAYOUTS[name])

        return _FIELD.sub(value, self.template)


_LAYOUTS = {"date": "%Y-%m-%d", "hour": "%H", "start": "%Y-%m-%dT%H-%M-%S", "end": "%Y-%m-%dT%H-%M-%S"}


def _midnight(day: date) -> datetime:
    # It names a day of the calendar and is no moment: a zone may leave its midnight out.
    return datetime(day.year, day.month, day.day)
