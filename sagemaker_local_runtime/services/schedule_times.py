"""The times of a schedule: the expressions of EventBridge and EventBridge Scheduler.

https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from croniter import CroniterBadDateError, croniter

from sagemaker_local_runtime.services.schedule_expressions import cron_expression, rate_expression
from sagemaker_pipelines.exceptions import ScheduleError

_AT = re.compile(r"at\((\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})\)")
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_FIRST_YEAR, _LAST_YEAR = 1970, 2199


def check_expression(expression: str, timezone: str = "UTC") -> None:
    """Refuse an expression that AWS or this runtime does not support.

    :param expression: ``at(...)``, ``rate(...)`` or ``cron(...)``.
    :param timezone: the IANA time zone of its times.
    :raises ScheduleError: it is refused.
    """
    if expression.startswith("cron("):
        if "LW" in cron_expression(expression):
            raise ScheduleError(
                f"{expression!r} has LW as day of month, which the local runtime does not support. Use L or "
                "a number."
            )
    elif expression.startswith("rate("):
        rate_expression(expression)
    elif _AT.fullmatch(expression) is None:
        raise ScheduleError(
            f"The expression is {expression!r}; expected at(yyyy-mm-ddThh:mm:ss), rate(...) or cron(...)."
        )
    now = datetime.now(UTC)
    try:
        next_time(expression, now, anchor=now, timezone=timezone)
    except (OverflowError, ValueError) as error:
        raise ScheduleError(f"The expression {expression!r} is never due: {error}.") from error


def next_time(
    expression: str, after: datetime, *, anchor: datetime, timezone: str = "UTC"
) -> datetime | None:
    """Return the first time after a given one at which a schedule is due, or None.

    :param expression: a checked expression.
    :param after: a time with a time zone.
    :param anchor: the first time of a rate, or any time that is a whole number of periods away from it.
    :param timezone: the IANA time zone of ``at`` and ``cron``.
    """
    if expression.startswith("rate("):
        number, unit = expression[len("rate(") : -1].split()
        period = timedelta(**{f"{unit.removesuffix('s')}s": int(number)})
        return anchor + max(0, (after - anchor) // period + 1) * period
    zone = ZoneInfo(timezone)
    at = _AT.fullmatch(expression)
    if at:
        due = datetime.fromisoformat(at[1]).replace(tzinfo=zone).astimezone(UTC)
        return due if due > after else None
    local = after.astimezone(zone).replace(tzinfo=None)
    for naive in _cron_times(expression, local):
        due = naive.replace(tzinfo=zone).astimezone(UTC)
        # A time skipped in spring does not exist; of one that occurs twice in autumn, the first counts.
        if due > after and due.astimezone(zone).replace(tzinfo=None) == naive:
            return due
    return None


def _cron_times(expression: str, after: datetime) -> Iterator[datetime]:
    """Yield the local times of a cron expression, in order."""
    minutes, hours, day, month, weekday, year = cron_expression(expression)[len("cron(") : -1].split()
    years = _numbers(year, _FIRST_YEAR, _LAST_YEAR)
    days = "*" if day == "?" else day
    fields = " ".join((minutes, hours, days, month, _weekdays(weekday)))
    # In autumn, the clock goes back by an hour.
    position = after - timedelta(hours=3)
    while position.year <= _LAST_YEAR:
        try:
            found: datetime = croniter(fields, position).get_next(datetime)
        except CroniterBadDateError:  # 30 February
            return
        if found.year in years:
            yield found
            position = found
            continue
        later = [number for number in years if number > position.year]
        if not later:
            return
        position = max(found, datetime(min(later), 1, 1)) - timedelta(seconds=1)


def _weekdays(field: str) -> str:
    """Return a day of week for croniter, which counts from SUN = 0; AWS counts from SUN = 1."""
    if field in ("?", "*"):
        return "*"
    parts: list[str] = []
    for part in field.split(","):
        if "#" in part:
            name, number = part.split("#")
            parts.append(f"{_weekday(name) - 1}#{number}")
        elif part != "L" and part.endswith("L"):
            parts.append(f"L{_weekday(part[:-1]) - 1}")
        else:
            parts += [str(number - 1) for number in sorted(_numbers(part, 1, 7))]
    return ",".join(parts)


def _weekday(text: str) -> int:
    return _WEEKDAYS.index(text) + 1 if text in _WEEKDAYS else 7 if text == "L" else int(text)


def _numbers(field: str, least: int, most: int) -> set[int]:
    """Return the values of a field of numbers or weekdays: ``*``, ``a``, ``a-b``, ``a,b``, ``a/n``."""
    found: set[int] = set()
    for part in field.split(","):
        values, _, step = part.partition("/")
        first, _, last = values.partition("-")
        start = least if first == "*" else _weekday(first)
        end = _weekday(last) if last else most if step or first == "*" else start
        if end < start:  # SAT-MON
            end += most - least + 1
        found |= {
            (number - least) % (most - least + 1) + least for number in range(start, end + 1, int(step or 1))
        }
    return found
