"""A schedule of EventBridge Scheduler that starts a pipeline, checked before anything is called.

https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sagemaker_pipelines.exceptions import ScheduleError

STATES = ("ENABLED", "DISABLED")
# AWS's own defaults, https://docs.aws.amazon.com/scheduler/latest/APIReference/API_RetryPolicy.html
MAX_EVENT_AGE_SECONDS, MAX_RETRY_ATTEMPTS = 86_400, 185
_NAME = (r"[0-9a-zA-Z_.-]{1,64}", "at most 64 letters, digits, '-', '_' and '.'")
_RATE = re.compile(r"(\d+) (minute|hour|day)(s?)", re.ASCII)
_ROLE = (r"arn:aws[a-z-]*:iam::\d{12}:role/.+", "an ARN as arn:aws:iam::<account>:role/<name>")
_QUEUE = (r"arn:aws[a-z-]*:sqs:[a-z0-9-]+:\d{12}:.+", "the ARN of an SQS queue")
_MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
_DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]
# Name, smallest, greatest, names of values (the first is 1), further forms.
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


def point_in_time(text: str, timezone: str) -> datetime:
    """Return a start or an end as a time of UTC.

    :param text: ISO 8601; without an offset it is of the schedule's time zone.
    :param timezone: the schedule's.
    :raises ScheduleError: it is no time.
    """
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise ScheduleError(f"The time is {text!r}, expected ISO 8601 such as '2026-05-01T00:00'.") from None
    return (when if when.tzinfo else when.replace(tzinfo=_zone(timezone))).astimezone(UTC)


@dataclass(frozen=True, kw_only=True)
class PipelineSchedule:
    """A schedule that starts a pipeline with fixed parameters.

    :param name: its name, unique in its group.
    :param pipeline_arn: what it starts.
    :param role_arn: the role that EventBridge Scheduler starts it with.
    :param expression: AWS's, from :func:`cron_expression` or :func:`rate_expression`.
    :param timezone: the IANA time zone that a cron expression is read in.
    :param parameters: the pipeline's parameters, as the strings that SageMaker takes.
    :param group: its schedule group.
    :param description: for whoever looks at it in AWS.
    :param state: ``ENABLED`` or ``DISABLED``.
    :param start: nothing is started before; None is now.
    :param end: nothing is started after; None is never.
    :param flexible_window: minutes within which AWS may choose the time; None is at the time.
    :param dead_letter_arn: the SQS queue for starts that failed for good; None forgets them.
    :param max_event_age: for how many seconds a start is tried again.
    :param max_retries: how often a start is tried again.
    :raises ScheduleError: AWS would refuse it.
    """

    name: str
    pipeline_arn: str
    role_arn: str
    expression: str
    timezone: str = "UTC"
    parameters: Mapping[str, str] = field(default_factory=dict)
    group: str = "default"
    description: str = ""
    state: str = "ENABLED"
    start: datetime | None = None
    end: datetime | None = None
    flexible_window: int | None = None
    dead_letter_arn: str | None = None
    max_event_age: int = MAX_EVENT_AGE_SECONDS
    max_retries: int = MAX_RETRY_ATTEMPTS

    def __post_init__(self) -> None:
        _zone(self.timezone)
        for what, value, (pattern, expected) in (
            ("name", self.name, _NAME),
            ("group", self.group, _NAME),
            ("role", self.role_arn, _ROLE),
            ("dead letter queue", self.dead_letter_arn, _QUEUE),
        ):
            if value is not None and re.fullmatch(pattern, value) is None:
                raise ScheduleError(f"The schedule's {what} is {value!r}, expected {expected}.")
        for what, number, least, most in (
            ("flexible window", 1 if self.flexible_window is None else self.flexible_window, 1, 1440),
            ("maximum event age", self.max_event_age, 60, MAX_EVENT_AGE_SECONDS),
            ("number of retries", self.max_retries, 0, MAX_RETRY_ATTEMPTS),
        ):
            if not least <= number <= most:
                raise ScheduleError(f"The schedule's {what} is {number}, expected {least} to {most}.")
        if self.state not in STATES:
            raise ScheduleError(f"The schedule's state is {self.state!r}, expected {' or '.join(STATES)}.")
        if self.start and self.end and self.end <= self.start:
            raise ScheduleError(
                f"The schedule ends at {self.end}, expected a time after its start {self.start}."
            )

    @property
    def coming_start(self) -> datetime | None:
        """The start; None once it has passed: AWS refuses one that is more than five minutes ago."""
        return self.start if self.start and self.start > datetime.now(UTC) else None

    def request(self) -> dict[str, Any]:
        """Return the arguments of CreateSchedule and UpdateSchedule."""
        target: dict[str, Any] = {
            "Arn": self.pipeline_arn,
            "RoleArn": self.role_arn,
            "RetryPolicy": {
                "MaximumEventAgeInSeconds": self.max_event_age,
                "MaximumRetryAttempts": self.max_retries,
            },
            "SageMakerPipelineParameters": {
                "PipelineParameterList": [
                    {"Name": name, "Value": value} for name, value in sorted(self.parameters.items())
                ]
            },
        }
        if self.dead_letter_arn:
            target["DeadLetterConfig"] = {"Arn": self.dead_letter_arn}
        window: dict[str, Any] = {"Mode": "OFF"}
        if self.flexible_window:
            window = {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": self.flexible_window}
        request = {
            "Name": self.name,
            "GroupName": self.group,
            "Description": self.description,
            "ScheduleExpression": self.expression,
            "ScheduleExpressionTimezone": self.timezone,
            "FlexibleTimeWindow": window,
            "State": self.state,
            "StartDate": self.coming_start,
            "EndDate": self.end,
            "Target": target,
        }
        return {name: value for name, value in request.items() if value is not None}

    @classmethod
    def from_answer(cls, answer: Mapping[str, Any]) -> PipelineSchedule:
        """Return the schedule that GetSchedule tells of.

        :raises ScheduleError: it starts something else than a pipeline.
        """
        target = answer["Target"]
        if ":pipeline/" not in target["Arn"] or ":sagemaker:" not in target["Arn"]:
            raise ScheduleError(
                f"The schedule {answer['Name']!r} starts {target['Arn']}, no SageMaker pipeline. Choose "
                "another name."
            )
        pairs = target.get("SageMakerPipelineParameters", {}).get("PipelineParameterList", [])
        retry = target.get("RetryPolicy", {})
        return cls(
            name=answer["Name"],
            group=answer.get("GroupName") or "default",
            pipeline_arn=target["Arn"],
            role_arn=target["RoleArn"],
            expression=answer["ScheduleExpression"],
            timezone=answer.get("ScheduleExpressionTimezone") or "UTC",
            parameters={pair["Name"]: pair["Value"] for pair in pairs},
            description=answer.get("Description") or "",
            state=answer.get("State") or "ENABLED",
            start=answer.get("StartDate"),
            end=answer.get("EndDate"),
            flexible_window=answer["FlexibleTimeWindow"].get("MaximumWindowInMinutes"),
            dead_letter_arn=target.get("DeadLetterConfig", {}).get("Arn"),
            max_event_age=retry.get("MaximumEventAgeInSeconds", MAX_EVENT_AGE_SECONDS),
            max_retries=retry.get("MaximumRetryAttempts", MAX_RETRY_ATTEMPTS),
        )

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON types, parameters by ``parameters.<name>``."""
        plain = {name: value for name, value in vars(self).items() if name != "parameters"}
        for name in ("start", "end"):
            when = plain[name]
            plain[name] = when.astimezone(UTC).isoformat() if when else None
        return plain | {f"parameters.{name}": value for name, value in sorted(self.parameters.items())}

    def changes_to(self, wanted: PipelineSchedule) -> dict[str, tuple[Any, Any]]:
        """Return what differs, as name to value here and value wanted; None stands for nothing.

        A start that has passed means the same as none.
        """
        before, after = (replace(each, start=each.coming_start).as_dict() for each in (self, wanted))
        names = list(dict.fromkeys([*before, *after]))
        return {
            name: (before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)
        }


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ScheduleError(
            f"The time zone is {name!r}, expected an IANA name such as 'Europe/Berlin'."
        ) from None


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
