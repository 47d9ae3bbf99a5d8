"""A schedule of EventBridge Scheduler that starts a pipeline; it is checked before AWS is called.

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
_ROLE = (r"arn:aws[a-z-]*:iam::\d{12}:role/.+", "an ARN such as arn:aws:iam::<account>:role/<name>")
_QUEUE = (r"arn:aws[a-z-]*:sqs:[a-z0-9-]+:\d{12}:.+", "the ARN of an SQS queue")


def wrapped(kind: str, text: str) -> str:
    """Return a schedule as AWS's expression; EventBridge Scheduler decides whether it is right.

    :param kind: ``"cron"`` or ``"rate"``.
    :param text: the text in the brackets, with or without ``cron(...)`` or ``rate(...)`` around it.
    """
    text = " ".join(text.split())
    return text if text.startswith(f"{kind}(") else f"{kind}({text})"


def point_in_time(text: str, timezone: str) -> datetime:
    """Return a start or an end as a time in UTC.

    :param text: ISO 8601; without an offset it is in the schedule's time zone.
    :param timezone: the schedule's time zone.
    :raises ScheduleError: it is not a time.
    """
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise ScheduleError(
            f"The time is {text!r}, expected ISO 8601 such as '2026-05-01T00:00'. Correct it."
        ) from None
    return (when if when.tzinfo else when.replace(tzinfo=_zone(timezone))).astimezone(UTC)


@dataclass(frozen=True, kw_only=True)
class PipelineSchedule:
    """A schedule that starts a pipeline with fixed parameters.

    :param name: its name, unique in its group.
    :param pipeline_arn: the pipeline that it starts.
    :param role_arn: the role with which EventBridge Scheduler starts the pipeline.
    :param expression: AWS's expression, such as ``cron(0 3 * * ? *)`` or ``rate(12 hours)``.
    :param timezone: the IANA time zone of a cron expression.
    :param parameters: the pipeline's parameters, as the strings that SageMaker expects.
    :param group: its schedule group.
    :param description: a text that AWS shows with the schedule.
    :param state: ``ENABLED`` or ``DISABLED``.
    :param start: nothing is started before this time; None means now.
    :param end: nothing is started after this time; None means that it never ends.
    :param flexible_window: minutes within which AWS may choose the time; None means at the exact time.
    :param dead_letter_arn: the SQS queue for starts that failed for good; None discards them.
    :param max_event_age: for how many seconds a failed start is retried.
    :param max_retries: how often a failed start is retried.
    :raises ScheduleError: AWS would refuse the schedule.
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
                raise ScheduleError(f"The schedule's {what} is {value!r}, expected {expected}. Correct it.")
        for what, number, least, most in (
            ("flexible window", 1 if self.flexible_window is None else self.flexible_window, 1, 1440),
            ("maximum event age", self.max_event_age, 60, MAX_EVENT_AGE_SECONDS),
            ("number of retries", self.max_retries, 0, MAX_RETRY_ATTEMPTS),
        ):
            if not least <= number <= most:
                raise ScheduleError(
                    f"The schedule's {what} is {number}, expected {least} to {most}. Correct it."
                )
        if self.state not in STATES:
            raise ScheduleError(
                f"The schedule's state is {self.state!r}, expected {' or '.join(STATES)}. Correct it."
            )
        if self.start and self.end and self.end <= self.start:
            raise ScheduleError(
                f"The schedule ends at {self.end}, expected a time after its start {self.start}. Correct one "
                "of them."
            )

    @property
    def coming_start(self) -> datetime | None:
        """The start; None if it has passed, because AWS refuses a start more than five minutes ago."""
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
        """Return the schedule in an answer of GetSchedule.

        :raises ScheduleError: it starts something other than a pipeline.
        """
        target = answer["Target"]
        if ":pipeline/" not in target["Arn"] or ":sagemaker:" not in target["Arn"]:
            raise ScheduleError(
                f"The schedule {answer['Name']!r} starts {target['Arn']}, expected a SageMaker pipeline. "
                "Choose another name."
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
        """Return it as JSON types, with the parameters as ``parameters.<name>``."""
        plain = {name: value for name, value in vars(self).items() if name != "parameters"}
        for name in ("start", "end"):
            when = plain[name]
            plain[name] = when.astimezone(UTC).isoformat() if when else None
        return plain | {f"parameters.{name}": value for name, value in sorted(self.parameters.items())}

    def changes_to(self, wanted: PipelineSchedule) -> dict[str, tuple[Any, Any]]:
        """Return the differences: name to the value here and the value wanted, None if there is no value.

        A start that has passed means the same as no start.
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
            f"The time zone is {name!r}, expected an IANA name such as 'Europe/Berlin'. Correct it."
        ) from None
