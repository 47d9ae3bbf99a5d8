"""The grammar of the expressions of EventBridge and EventBridge Scheduler.

https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
"""

from __future__ import annotations

import re

from sagemaker_pipelines.exceptions import ScheduleError

_RATE = re.compile(r"(\d+) (minute|hour|day)(s?)", re.ASCII)
_MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
_DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]
# Name, smallest, greatest, names of values (the first is 1), further forms.
# Name, smallest value, greatest value, names of values (the first is 1), other forms.
_FIELDS: tuple[tuple[str, int, int, list[str], str], ...] = (
    ("minutes", 0, 59, [], r"(?!)"),
    ("hours", 0, 23, [], r"(?!)"),
    ("day of month", 1, 31, [], r"\?|L|LW|\d{1,2}W"),
    ("month", 1, 12, _MONTHS, r"(?!)"),
    ("day of week", 1, 7, _DAYS, r"\?|L|[1-7]L|[A-Z]{3}L|[1-7]#[1-5]|[A-Z]{3}#[1-5]"),
    ("year", 1970, 2199, [], r"(?!)"),
)


def cron_expression(text: str) -> str:
    """Return AWS's expression of a cron schedule.

    :param text: six fields, with or without ``cron(...)`` around them.
    :raises ScheduleError: naming the field, the value and what AWS expects.
    """
    fields = _inside(text, "cron").upper().split()
    if len(fields) != len(_FIELDS):
        raise ScheduleError(
            f"The cron expression {text!r} has {len(fields)} fields, expected six: minutes, hours, day of "
            "month, month, day of week, year, such as '0 3 * * ? *' for each day at 03:00."
        )
    for value, (name, least, most, names, further) in zip(fields, _FIELDS, strict=True):
        for part in value.split(","):
            if not (re.fullmatch(further, part) or _is_range(part, least, most, names)):
                allowed = f"{least} to {most}" + (f" or {names[0]} to {names[-1]}" if names else "")
                raise ScheduleError(
                    f"The cron expression {text!r} has {part!r} as {name}, expected {allowed}, *, a range "
                    "a-b, a list a,b or steps a/b."
                )
    if (fields[2] == "?") == (fields[4] == "?"):
        raise ScheduleError(
            f"The cron expression {text!r} has {fields[2]!r} as day of month and {fields[4]!r} as day of "
            "week: exactly one of them has to be '?'. Mind that AWS counts weekdays from SUN = 1."
        )
    return f"cron({' '.join(fields)})"


def rate_expression(text: str) -> str:
    """Return AWS's expression of a rate.

    :param text: such as ``"12 hours"``, with or without ``rate(...)`` around it.
    :raises ScheduleError: it is none.
    """
    inside = " ".join(_inside(text, "rate").split())
    match = _RATE.fullmatch(inside)
    if match is None or int(match[1]) < 1 or (int(match[1]) == 1) == bool(match[3]):
        raise ScheduleError(
            f"The rate is {text!r}, expected a positive number and its unit, such as '1 day', '12 hours' or "
            "'30 minutes'."
        )
    return f"rate({inside})"


def _inside(text: str, kind: str) -> str:
    text = text.strip()
    return text[len(kind) + 1 : -1] if text.startswith(f"{kind}(") and text.endswith(")") else text


def _is_range(part: str, least: int, most: int, names: list[str]) -> bool:
    """Return whether a part of a cron field is ``*``, a value or a range, with or without steps."""
    body, slash, step = part.partition("/")
    if not part.isascii() or (slash and not (step.isdecimal() and int(step) >= 1)):
        return False
    if body == "*":
        return True
    values = [names.index(end) + 1 if end in names else end for end in body.split("-")]
    if len(values) > 2 or not all(str(value).isdecimal() for value in values):
        return False
    numbers = [int(value) for value in values]
    return all(least <= number <= most for number in numbers)
