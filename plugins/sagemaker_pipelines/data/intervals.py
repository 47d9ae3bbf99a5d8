"""The interval of time that a DAG run covers."""

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
    """An interval of time ``[start, end)``: the start belongs to it, the end to the next one.

    :param start: the first moment, with a time zone.
    :param end: the first moment after it; equal to the start if a run covers only a moment.
    :raises IntervalError: one of them has no time zone, or the end is before the start.
    """

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        """Refuse values that are not an interval."""
        for moment in (self.start, self.end):
            if moment.tzinfo is None:
                raise IntervalError(
                    f"{moment.isoformat()} has no time zone: write it like 2026-01-02T00:00:00Z."
                )
        if self.end < self.start:
            raise IntervalError(
                f"The interval's end is {self.end.isoformat()}, expected a time that is not before its start "
                f"{self.start.isoformat()}: correct one of them."
            )

    @property
    def is_empty(self) -> bool:
        """Whether it is only a moment, in which no data can arrive."""
        return self.start == self.end

    def __str__(self) -> str:
        """Return it in the notation of ISO 8601."""
        return f"{_iso(self.start)}/{_iso(self.end)}"


def run_interval(context: Context) -> RunInterval:
    """Return the interval that the running DAG run covers.

    ``IntervalStart`` and ``IntervalEnd`` in the form take precedence. A run that was triggered by Airflow
    assets covers the partitions that its events name. A scheduled or backfill run has the data interval of
    its timetable, and so has a manual run with a logical date. Any other run covers only the moment at which
    it should start.

    :param context: the context of the task.
    :raises IntervalError: the values in the form are not an interval.
    """
    return (
        form_interval(context.get("params") or {})
        or _of_events(triggering_events(context))
        or _of_timetable(context)
        or _moment(context["dag_run"].run_after)
    )


def run_intervals(context: Context, events: Iterable[Mapping[str, Any]] | None = None) -> list[RunInterval]:
    """Return the intervals whose data the running DAG run reads, the earliest first.

    These are the intervals of the events that triggered the run, with gaps where no event arrived. Without
    such events it is the one interval of :func:`run_interval`.

    :param context: the context of the task.
    :param events: the payloads to use; None means all that triggered the run.
    :raises IntervalError: the values in the form are not an interval.
    """
    if form_interval(context.get("params") or {}) is None:
        named = _named(triggering_events(context) if events is None else events)
        if named:
            return sorted(named, key=lambda interval: (interval.start, interval.end))
    return [run_interval(context)]


def form_interval(params: Mapping[str, Any]) -> RunInterval | None:
    """Return the interval that somebody entered in the trigger form; None if it was left empty.

    :param params: the params of the run.
    :raises IntervalError: one of the two is missing, or is not a date and time with a zone.
    """
    texts = [params.get(INTERVAL_START), params.get(INTERVAL_END)]
    if not any(texts):
        return None
    if not all(texts):
        raise IntervalError(
            f"{INTERVAL_START} is {texts[0]!r} and {INTERVAL_END} is {texts[1]!r}, expected two times or "
            "none: fill in both, or leave both empty."
        )
    return RunInterval(*map(_parsed, texts))


def is_interval_driven(context: Context) -> bool:
    """Return whether a run was created for its interval: by a schedule, a backfill, an event or the form.

    The data interval of a manual run does not count: Airflow infers one from the moment of the click, and a
    task cannot distinguish it from an interval that somebody chose.
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
    """Return the interval from the earliest start to the latest end."""
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
        raise IntervalError(f"{text!r} is not a date and time: write it like 2026-01-02T00:00:00Z.") from None


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
