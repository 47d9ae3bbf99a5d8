"""Find the partitions of the data in S3 that an interval covers."""

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

    ``{date}`` makes daily partitions (``dt={date}/`` becomes ``dt=2026-01-02/``), ``{date}`` together with
    ``{hour}`` hourly ones. ``{start:%Y-%m}`` makes monthly partitions, and any other strftime format works
    likewise. ``{end:...}`` is the end of the interval. ``{artifact_bucket}`` and ``{name_prefix}`` come from
    the environment.

    :param template: an S3 URI with these fields.
    :param timezone: the time zone of the calendar, an IANA name; it decides where a day begins and ends.
    :param manifest: the S3 URI below which manifests are written, for an input whose ``S3DataType`` is
        ``ManifestFile``. The parameter is then the URI of a manifest with the data of all partitions that
        the interval covers. It may have the fields of the environment. With None, the parameter is the URI
        of a partition, and the interval may cover only one.
    :raises ValueError: a template has no time field or an unknown field, or the time zone does not exist.
    """

    template: str
    timezone: str = "UTC"
    manifest: str | None = None

    def __post_init__(self) -> None:
        """Refuse values that could not select a partition."""
        fields = {match[1] for match in _FIELD.finditer(self.template)}
        if unknown := fields - _FIELDS:
            raise ValueError(
                f"{self.template!r} has the field {min(unknown)!r}; expected any of "
                f"{', '.join(sorted(_FIELDS))}. Correct the field."
            )
        if not fields - _ENVIRONMENT_FIELDS:
            raise ValueError(f"{self.template!r} has no time field: add one, such as dt={{date}}/.")
        for uri in (self.template, self.manifest):
            if uri is not None and not uri.startswith("s3://"):
                raise ValueError(f"{uri!r} is not an S3 URI: begin it with s3://.")
        if unknown_in_manifest := unknown_fields(self.manifest or ""):
            raise ValueError(
                f"The manifest {self.manifest!r} has the field {unknown_in_manifest[0]!r}; expected any of "
                f"{', '.join(sorted(_ENVIRONMENT_FIELDS))}. Remove the field: the name of a manifest is made "
                "from its content."
            )
        if self.manifest is not None and not urlsplit(self._shared).path:
            raise ValueError(
                f"The bucket of {self.template!r} depends on the time, but a manifest lists the objects of "
                "one bucket. Use one bucket, or no manifest."
            )
        try:
            ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(
                f"The time zone {self.timezone!r} does not exist; expected an IANA name such as "
                "Europe/Berlin. Correct it."
            ) from None

    def uris(self, interval: RunInterval, environment: Mapping[str, str]) -> list[str]:
        """Return the URIs of the partitions that an interval covers or is part of, the earliest first.

        :param interval: the interval of the run.
        :param environment: the values of ``artifact_bucket`` and ``name_prefix``.
        :raises IntervalError: the interval is only a moment.
        """
        _require_length(interval)
        filled = (self._filled(interval, moment, environment) for moment in self._moments(interval))
        return list(dict.fromkeys(filled))

    def uri(self, interval: RunInterval, environment: Mapping[str, str]) -> str:
        """Return the URI of the only partition that an interval covers or is part of.

        :raises IntervalError: the interval is only a moment, or covers more than one partition.
        """
        return only(self.uris(interval, environment))

    def folder(self, environment: Mapping[str, str]) -> str:
        """Return the URI of the folder that all partitions share, with its slash."""
        return in_environment(self._shared, environment)

    def manifest_folder(self, environment: Mapping[str, str]) -> str:
        """Return the URI of the folder for manifests, with its slash; empty if there are no manifests."""
        return in_environment(f"{self.manifest.removesuffix('/')}/", environment) if self.manifest else ""

    def prefix(self, interval: RunInterval, environment: Mapping[str, str]) -> str:
        """Return the URI for the results of an interval, which is determined by its start.

        :raises IntervalError: the interval is only a moment.
        """
        _require_length(interval)
        return self._filled(interval, next(self._moments(interval)), environment)

    @property
    def _shared(self) -> str:
        """The template up to the folder that contains the first time field."""
        timed = next(match for match in _FIELD.finditer(self.template) if match[1] not in _ENVIRONMENT_FIELDS)
        return self.template[: timed.start()].rpartition("/")[0] + "/"

    def _moments(self, interval: RunInterval) -> Iterator[datetime]:
        """Yield a moment in each partition, in the time zone of the calendar, beginning with the start."""
        zone = ZoneInfo(self.timezone)
        start = interval.start.astimezone(zone)
        last = (interval.end - timedelta(microseconds=1)).astimezone(zone)
        yield start
        if "{hour" in self.template:
            # In UTC, because local time repeats and skips hours; Airflow's pendulum would lose the zone.
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


def unknown_fields(template: str) -> list[str]:
    """Return the fields of a template that :func:`in_environment` does not fill in."""
    return sorted({match[1] for match in _FIELD.finditer(template)} - _ENVIRONMENT_FIELDS)


def only(uris: Sequence[str]) -> str:
    """Return the only URI in a list.

    :raises IntervalError: there are several URIs.
    """
    if len(uris) > 1:
        raise IntervalError(
            f"The run covers {len(uris)} partitions, from {uris[0]} to {uris[-1]}, but a parameter holds "
            "only one S3 URI. Give the DAG a schedule that matches the partitions, or read them through a "
            "manifest: Partitions(..., manifest='s3://...')."
        )
    return uris[0]


def in_environment(template: str, environment: Mapping[str, str]) -> str:
    """Return a template whose fields ``artifact_bucket`` and ``name_prefix`` are filled in.

    :raises KeyError: it has another field.
    """
    return _FIELD.sub(lambda match: environment[match[1]], template)


def _require_length(interval: RunInterval) -> None:
    if interval.is_empty:
        raise IntervalError(
            f"The run covers only the moment {interval.start.isoformat()}, which contains no partition. Give "
            "the DAG a timetable with data intervals, such as CronDataIntervalTimetable, or fill in "
            "IntervalStart and IntervalEnd."
        )


_LAYOUTS = {"date": "%Y-%m-%d", "hour": "%H", "start": "%Y-%m-%dT%H-%M-%S", "end": "%Y-%m-%dT%H-%M-%S"}


def _midnight(day: date) -> datetime:
    # Without a zone, because this is a calendar day and not a moment: a zone may skip midnight.
    return datetime(day.year, day.month, day.day)
