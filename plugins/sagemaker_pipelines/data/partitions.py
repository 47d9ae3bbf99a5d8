"""Which partitions of the data in S3 an interval covers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sagemaker_pipelines.data.intervals import RunInterval
from sagemaker_pipelines.exceptions import IntervalError

_FIELD = re.compile(r"\{(\w+)(?::([^{}]+))?\}")
_ENVIRONMENT_FIELDS = {"artifact_bucket", "name_prefix"}
_FIELDS = _ENVIRONMENT_FIELDS | {"date", "hour", "start", "end"}
# Every zone's offset from UTC, and every change of it, is a multiple of this.
_QUARTER = timedelta(minutes=15)


@dataclass(frozen=True)
class Partitions:
    """Where the partitions of a data set are in S3.

    ``{date}`` makes them daily (``dt={date}/`` gives ``dt=2026-01-02/``), ``{date}`` with ``{hour}``
    hourly; ``{start:%Y-%m}`` makes them monthly, and any layout of strftime likewise. ``{end:...}`` is the
    interval's end. ``{artifact_bucket}`` and ``{name_prefix}`` come from the environment.

    :param template: an S3 URI with these fields.
    :param timezone: the calendar's time zone, an IANA name: where a day begins and ends.
    :param manifest: below which S3 URI manifests are written, for an input whose ``S3DataType`` is
        ``ManifestFile``: the parameter then gets the URI of one that lists the data of every partition that
        the interval covers. It may have the fields of the environment. None gives the parameter the URI of
        a partition, and an interval may cover one only.
    :raises ValueError: a template has no field of time or an unknown one, or there is no such zone.
    """

    template: str
    timezone: str = "UTC"
    manifest: str | None = None

    def __post_init__(self) -> None:
        """Refuse what could select nothing."""
        fields = {match[1] for match in _FIELD.finditer(self.template)}
        if unknown := fields - _FIELDS:
            raise ValueError(
                f"{self.template!r} has the field {min(unknown)!r}; known are {', '.join(sorted(_FIELDS))}."
            )
        if not fields - _ENVIRONMENT_FIELDS:
            raise ValueError(f"{self.template!r} names no time: write dt={{date}}/ into it.")
        for uri in (self.template, self.manifest):
            if uri is not None and not uri.startswith("s3://"):
                raise ValueError(f"{uri!r} is no S3 URI: begin it with s3://.")
        if unknown := {match[1] for match in _FIELD.finditer(self.manifest or "")} - _ENVIRONMENT_FIELDS:
            raise ValueError(
                f"The manifest {self.manifest!r} has the field {min(unknown)!r}; known are "
                f"{', '.join(sorted(_ENVIRONMENT_FIELDS))}. Its name is made from its content."
            )
        if self.manifest is not None and not urlsplit(self._shared).path:
            raise ValueError(
                f"The bucket of {self.template!r} depends on the time, and a manifest lists the objects of "
                "one bucket."
            )
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
        _require_length(interval)
        filled = (self._filled(interval, moment, environment) for moment in self._moments(interval))
        return list(dict.fromkeys(filled))

    def uri(self, interval: RunInterval, environment: Mapping[str, str]) -> str:
        """Return the URI of the one partition that an interval covers or lies in.

        :raises IntervalError: the interval is a moment, or it covers more than one partition.
        """
        return only(self.uris(interval, environment))

    def folder(self, environment: Mapping[str, str]) -> str:
        """Return the URI of the folder that all partitions share, with its slash."""
        return _in_environment(self._shared, environment)

    def manifest_folder(self, environment: Mapping[str, str]) -> str:
        """Return the URI of the folder of the manifests, with its slash; empty where there are none."""
        return _in_environment(f"{self.manifest.removesuffix('/')}/", environment) if self.manifest else ""

    def prefix(self, interval: RunInterval, environment: Mapping[str, str]) -> str:
        """Return where an interval's results go: the URI that its start names.

        :raises IntervalError: the interval is a moment.
        """
        _require_length(interval)
        return self._filled(interval, next(self._moments(interval)), environment)

    @property
    def _shared(self) -> str:
        """The template up to the folder in which the first field of time is."""
        timed = next(match for match in _FIELD.finditer(self.template) if match[1] not in _ENVIRONMENT_FIELDS)
        return self.template[: timed.start()].rpartition("/")[0] + "/"

    def _moments(self, interval: RunInterval) -> Iterator[datetime]:
        """Yield a moment of each partition, as the calendar's zone tells it, the interval's start first."""
        zone = ZoneInfo(self.timezone)
        start = interval.start.astimezone(zone)
        last = (interval.end - timedelta(microseconds=1)).astimezone(zone)
        yield start
        if "{hour" in self.template:
            # In UTC, as local time repeats and leaves out hours; Airflow's pendulum would lose the zone.
            moment = datetime.fromtimestamp(interval.start.timestamp(), UTC)
            while (moment := moment + _QUARTER) < interval.end:
                yield moment.astimezone(zone)
            yield last
            return
        for number in range(1, (last.date() - start.date()).days + 1):
            yield _midnight(start.date() + timedelta(days=number))

    def _filled(self, interval: RunInterval, moment: datetime, environment: Mapping[str, str]) -> str:
        end = interval.end.astimezone(ZoneInfo(self.timezone))

        def value(match: re.Match[str]) -> str:
            name, layout = match[1], match[2]
            if name in _ENVIRONMENT_FIELDS:
                return environment[name]
            return (end if name == "end" else moment).strftime(layout or _LAYOUTS[name])

        return _FIELD.sub(value, self.template)


def only(uris: Sequence[str]) -> str:
    """Return the one URI that there is.

    :raises IntervalError: there are several.
    """
    if len(uris) > 1:
        raise IntervalError(
            f"The run covers {len(uris)} partitions, from {uris[0]} to {uris[-1]}, and a parameter holds one "
            "S3 URI. Give the DAG a schedule that matches the partitions, or read them by a manifest: "
            "Partitions(..., manifest='s3://...')."
        )
    return uris[0]


def _in_environment(template: str, environment: Mapping[str, str]) -> str:
    return _FIELD.sub(lambda match: environment[match[1]], template)


def _require_length(interval: RunInterval) -> None:
    if interval.is_empty:
        raise IntervalError(
            f"The run is about the moment {interval.start.isoformat()}, in which no partition lies. Give "
            "the DAG a timetable with data intervals, such as CronDataIntervalTimetable, or fill in "
            "IntervalStart and IntervalEnd."
        )


_LAYOUTS = {"date": "%Y-%m-%d", "hour": "%H", "start": "%Y-%m-%dT%H-%M-%S", "end": "%Y-%m-%dT%H-%M-%S"}


def _midnight(day: date) -> datetime:
    # It names a day of the calendar and is no moment: a zone may leave its midnight out.
    return datetime(day.year, day.month, day.day)
