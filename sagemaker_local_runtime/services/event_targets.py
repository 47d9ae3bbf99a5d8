"""The targets of EventBridge's rules and schedules: moto's own, and pipelines, which are really started.

An unsupported target is refused by name when it is put. A failing target does not affect the others.
"""

from __future__ import annotations

import copy
import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from moto.events import exceptions as rule_errors  # noqa: TID253 - this module is about moto's EventBridge
from moto.events import models as rules  # noqa: TID253
from moto.scheduler import exceptions as schedule_errors  # noqa: TID253
from moto.scheduler import models as schedules  # noqa: TID253
from moto.sqs.models import sqs_backends  # noqa: TID253

from sagemaker_local_runtime.services.schedule_times import check_expression
from sagemaker_pipelines.exceptions import ScheduleError

_log = logging.getLogger(__name__)
StartExecution = Callable[[Mapping[str, Any]], str]
_STOCK = rules.Rule, schedules.Schedule
_FOR_RULES = "SageMaker pipelines, SQS queues, log groups and event buses"
_FOR_SCHEDULES = "SageMaker pipelines and SQS queues"

_RULE_TARGETS = {
    ("sagemaker", "pipeline"),
    ("sqs", ""),
    ("logs", "log-group"),
    ("events", "event-bus"),
    ("events", ""),
}
_SCHEDULE_TARGETS = {("sagemaker", "pipeline"), ("sqs", "")}


class EventTargets:
    """Deliver to the targets of moto's rules and schedules; like moto's backends, one for the whole process.

    :param start_execution: is given a request of ``StartPipelineExecution`` and returns the ARN.
    :param now: returns the current time, at which rules and schedules are created.
    """

    current: EventTargets

    def __init__(self, start_execution: StartExecution, now: Callable[[], datetime]) -> None:
        self._start_execution = start_execution
        self.now = now
        EventTargets.current = self
        rules.Rule, schedules.Schedule = DeliveringRule, CheckedSchedule

    def close(self) -> None:
        """Restore moto's own EventBridge."""
        rules.Rule, schedules.Schedule = _STOCK

    def start_pipeline(self, target: Mapping[str, Any], cause: str) -> None:
        """Start the pipeline of a target with the target's parameters.

        :param cause: the cause of the start; the same cause starts it only once.
        """
        given = target.get("SageMakerPipelineParameters") or {}
        token = hashlib.sha256(f"{cause} {target['Arn']} {target.get('Id')}".encode()).hexdigest()
        request = {
            "PipelineName": target["Arn"],
            "PipelineParameters": given.get("PipelineParameterList") or [],
            "ClientRequestToken": token,
        }
        arn = self._start_execution(request)
        _log.info("%s started %s", cause, arn)

    def send(self, target: Mapping[str, Any], cause: str, deliver: Callable[[], None]) -> None:
        """Deliver to one target; log an error and send it to the dead-letter queue, if there is one."""
        try:
            deliver()
        except Exception as error:
            _log.exception("%s could not be delivered to %s", cause, target["Arn"])
            queue = (target.get("DeadLetterConfig") or {}).get("Arn")
            if queue:
                body = {"cause": cause, "target": target["Arn"], "error": f"{type(error).__name__}: {error}"}
                _send_message(queue, json.dumps(body))


class DeliveringRule(rules.Rule):  # type: ignore[misc] # moto is untyped
    """A rule that delivers to each target separately, and delivers nothing while it is disabled."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.since = self.anchor = EventTargets.current.now()
        if self.scheduled_expression:
            try:
                check_expression(self.scheduled_expression)
            except ScheduleError as error:
                raise rule_errors.ValidationException(str(error)) from error

    def put_targets(self, targets: list[dict[str, Any]]) -> None:
        """Put targets.

        :raises ValidationException: one of them is not supported.
        """
        for target in targets:
            service, kind = _service_of(target["Arn"])
            # An archive's own target has an ARN without a resource.
            if (service, kind) not in _RULE_TARGETS:
                raise rule_errors.ValidationException(_refusal(target["Arn"], "rules", _FOR_RULES))
        super().put_targets(targets)

    def send_to_targets(self, original_event: Any, transform_input: bool = True) -> None:
        """Deliver an event that matches the rule's pattern; a scheduled rule may have no pattern."""
        matches = self.event_pattern.get_pattern() and self.event_pattern.matches_event(original_event)
        if matches and self.state != "DISABLED":
            self._deliver(original_event, transform_input)

    def fire(self, due: datetime) -> None:
        """Deliver the event of a scheduled rule that is due."""
        event = {
            "version": "0",
            "id": hashlib.sha256(f"{self.arn} {due.isoformat()}".encode()).hexdigest()[:32],
            "detail-type": "Scheduled Event",
            "source": "aws.events",
            "account": self.account_id,
            "time": due.timestamp(),
            "region": self.region_name,
            "resources": [self.arn],
            "detail": {},
            "ingestion-time": due.timestamp(),
        }
        self._deliver(event, True)

    def _deliver(self, event: Any, transform_input: bool) -> None:
        targets = EventTargets.current
        cause = f"Event {event['id']} of rule {self.name}"
        for target in [*self.targets]:
            if _service_of(target["Arn"])[0] == "sagemaker":
                targets.send(target, cause, partial(targets.start_pipeline, target, cause))
                continue
            alone = copy.copy(self)
            alone.targets, alone.event_pattern = [target], rules.EventPattern.load(None)
            deliver = partial(_STOCK[0].send_to_targets, alone, copy.deepcopy(event), transform_input)
            targets.send(target, cause, deliver)


class CheckedSchedule(schedules.Schedule):  # type: ignore[misc] # moto is untyped
    """A schedule whose expression and target are checked, and which starts its target."""

    def __init__(self, **fields: Any) -> None:
        _check_schedule(fields)
        super().__init__(**fields)
        self._begin()

    def update(self, **fields: Any) -> None:
        """Update the schedule; a new expression or start date restarts it."""
        _check_schedule(fields)
        before = self._rhythm
        super().update(**fields)
        if self._rhythm != before:
            self._begin()

    @property
    def _rhythm(self) -> tuple[Any, ...]:
        return self.schedule_expression, self.schedule_expression_timezone, self.start_date

    def _begin(self) -> None:
        """Count from the start date; a rate without one begins immediately, as on AWS."""
        now = EventTargets.current.now()
        self.anchor = datetime.fromtimestamp(float(self.start_date), UTC) if self.start_date else now
        # AWS refuses a start date that is more than five minutes ago, but it may have passed since then.
        passed = self.anchor < now - timedelta(minutes=5)
        self.since = now if passed else self.anchor - timedelta(microseconds=1)

    @staticmethod
    def validate_target(target: dict[str, Any]) -> dict[str, Any]:
        """Return the target with AWS's defaults.

        :raises ValidationException: it is not supported.
        """
        if _service_of(target["Arn"]) not in _SCHEDULE_TARGETS:
            raise schedule_errors.ValidationException(_refusal(target["Arn"], "schedules", _FOR_SCHEDULES))
        checked: dict[str, Any] = _STOCK[1].validate_target(target)
        return checked

    def fire(self, due: datetime) -> None:
        """Start the target."""
        targets, target = EventTargets.current, self.target
        cause = f"Schedule {self.arn} at {due.isoformat()}"
        if _service_of(target["Arn"])[0] == "sagemaker":
            targets.send(target, cause, partial(targets.start_pipeline, target, cause))
        else:
            targets.send(target, cause, partial(_send_message, target["Arn"], target.get("Input") or "{}"))


def _check_schedule(fields: Mapping[str, Any]) -> None:
    try:
        check_expression(fields["schedule_expression"], fields["schedule_expression_timezone"] or "UTC")
    except (ScheduleError, KeyError, ValueError) as error:
        raise schedule_errors.ValidationException(str(error)) from error
    CheckedSchedule.validate_target(fields["target"])


def _service_of(arn: str) -> tuple[str, str]:
    """Return the service and the resource type in an ARN; the type of a queue is empty."""
    parts = [*arn.split(":", 5), "", "", "", "", "", ""]
    service, resource = parts[2], parts[5]
    kind = resource.replace(":", "/").partition("/")
    return service, kind[0] if kind[1] and service != "sqs" else ""


def _refusal(arn: str, whose: str, supported: str) -> str:
    return (
        f"The target {arn} is not supported by the local runtime, whose {whose} can target {supported}. "
        "Use one of these; see docs/local_runtime.md."
    )


def _send_message(queue_arn: str, body: str) -> None:
    _, _, _, region, account, name = queue_arn.split(":", 5)
    sqs_backends[account][region].send_message(queue_name=name, message_body=body)
