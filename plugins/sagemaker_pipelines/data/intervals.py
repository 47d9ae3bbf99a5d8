"""What stretch of time a DAG run is about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sagemaker_pipelines.data.events import triggering_events
from sagemaker_pipelines.exceptions import IntervalError

if TYPE_CHECKING:
    from airflow.sdk import Context

#: Fields of the trigger form that give a manual run its interval.
INTERVAL_START, INTERVAL_END = "IntervalStart", "IntervalEnd"


@dataclass(frozen=True)
class RunInterval:
    """A stretch of time ``[start, end)``: its start belongs to it, its end to the next one.

    :param start: its first moment, with a time zone.
    :param end: the first moment after it; equal to the start where a run is about a moment only.
    :raises IntervalError: a moment has no time zone, or the end comes before the start.
    """

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        """Refuse what is no interval."""
        for moment in (self.start, self.end):
            if moment.tzinfo is None:
                raise IntervalError(
                    f"{moment.isoformat()} has no time zone: write it like 2026-01-02T00:00:00Z."
                )
        if self.end < self.start:
            raise IntervalError(
                f"The interval's end {self.end.isoformat()} comes before its start {self.start.isoformat()}."
            )

    @property
    def is_empty(self) -> bool:
        """Whether it is a moment, in which no data can have come."""
        return self.start == self.end

    def __str__(self) -> str:
        """Return it as ISO 8601 writes intervals."""
        return f"{_iso(self.start)}/{_iso(self.end)}"


def run_interval(context: Context) -> RunInterval:
    """Return what stretch of time the running DAG run is about.

    The form's ``IntervalStart`` and ``IntervalEnd`` come first. A scheduled or backfill run has its
    timetable's data interval, and so has a manual run with a logical date. A run that assets have woken
    spans the partitions that its events name. Any other run is about the moment it was to begin at.

    :param context: the task's.
    :raises IntervalError: the form's values are no interval.
    """
    return (
        form_interval(context.get("params") or {})
        or _of_events(triggering_events(context))
        or _of_timetable(context)
        or _moment(context["dag_run"].run_after)
    )


def run_intervals(context: Context, events: Iterable[Mapping[str, Any]] | None = None) -> list[RunInterval]:
    """Return the stretches of time whose data the running DAG run reads, the earliest first.

    They are those that the events name which woke it, with gaps where no event came, or else
    :func:`run_interval`.

    :param context: the task's.
    :param events: the payloads that count; None takes all that woke the run.
    :raises IntervalError: the form's values are no interval.
    """
    if form_interval(context.get("params") or {}) is None:
        named = _named(triggering_events(context) if events is None else events)
        if named:
            return sorted(named, key=lambda interval: (interval.start, interval.end))
    return [run_interval(context)]


def form_interval(params: Mapping[str, Any]) -> RunInterval | None:
    """Return the interval that someone has filled into the trigger form; None where it was left empty.

    :param params: the run's.
    :raises IntervalError: one of the two is missing, or is no date and time with a zone.
    """
    texts = [params.get(INTERVAL_START), params.get(INTERVAL_END)]
    if not any(texts):
        return None
    if not all(texts):
        raise IntervalError(
            f"{INTERVAL_START} is {texts[0]!r} and {INTERVAL_END} is {texts[1]!r}: fill in both, or none."
        )
    return RunInterval(*map(_parsed, texts))


def is_interval_driven(context: Context) -> bool:
    """Return whether a run was made for its interval: by a schedule, a backfill, an event or the form.

    A manual run's data interval does not count: Airflow infers one from the moment of the click, and a task
    cannot tell that from one that was chosen.
    """
    if form_interval(context.get("params") or {}) is not None:
        return True
    run_type = str(getattr(context["dag_run"].run_type, "value", context["dag_run"].run_type))
    if run_type == "asset_triggered":
        return _of_events(triggering_events(context)) is not None
    return run_type in {"scheduled", "backfill"}


def _of_timetable(context: Context) -> RunInterval | None:
    run = context["dag_run"]
    if run.data_interval_start is None or run.data_interval_end is None:
        return None
    return RunInterval(run.data_interval_start, run.data_interval_end)


def _of_events(payloads: Iterable[Mapping[str, Any]]) -> RunInterval | None:
    return span(named) if (named := _named(payloads)) else None


def span(intervals: Sequence[RunInterval]) -> RunInterval:
    """Return the interval from the first one's start to the last one's end."""
    return RunInterval(
        min(interval.start for interval in intervals), max(interval.end for interval in intervals)
    )


def _named(payloads: Iterable[Mapping[str, Any]]) -> list[RunInterval]:
    return [
        RunInterval(_parsed(payload["interval_start"]), _parsed(payload["interval_end"]))
        for payload in payloads
        if payload.get("interval_start") and payload.get("interval_end")
    ]


def _moment(moment: datetime) -> RunInterval:
    return RunInterval(moment, moment)


def _parsed(text: Any) -> datetime:
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        raise IntervalError(f"{text!r} is no date and time: write it like 2026-01-02T00:00:00Z.") from None


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
