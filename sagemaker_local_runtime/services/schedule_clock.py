"""Fire EventBridge's scheduled rules and schedules when they are due, by a clock that tests can advance."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.events.models import events_backends  # noqa: TID253 - moto keeps the rules
from moto.scheduler.models import scheduler_backends  # noqa: TID253 - and the schedules

from sagemaker_local_runtime.services.event_targets import EventTargets, StartExecution
from sagemaker_local_runtime.services.schedule_times import next_time

_log = logging.getLogger(__name__)
_CHECK_SECONDS = 1.0  # AWS's own precision is a minute
_SHUTDOWN_SECONDS = 5.0


class ScheduleClock:
    """Check the schedules every second in its own thread.

    If a schedule was due several times between two checks, as on a machine that was asleep, it fires once.

    :param account_id: the account that owns the rules and schedules.
    :param start_execution: is given a request of ``StartPipelineExecution`` and returns the ARN.
    """

    def __init__(self, account_id: str, start_execution: StartExecution) -> None:
        self._account_id = account_id
        self._advanced_by = timedelta()
        self._lock = threading.RLock()
        self._ended = threading.Event()
        self._targets = EventTargets(start_execution, self.now)
        self._thread = threading.Thread(target=self._run, name="schedules", daemon=True)
        self._thread.start()

    def now(self) -> datetime:
        """Return the current time of the schedules."""
        return datetime.now(UTC) + self._advanced_by

    def advance(self, seconds: float) -> list[str]:
        """Advance the clock and return the ARNs of the rules and schedules that fired."""
        # The thread must not fire in between what this is asked for.
        with self._lock:
            self._advanced_by += timedelta(seconds=seconds)
            return self.fire_due()

    def fire_due(self) -> list[str]:
        """Fire each rule and schedule that is due, once, and return the ARNs."""
        fired = []
        with self._lock:
            now = self.now()
            for schedule, expression, timezone, enabled in self._schedules():
                try:
                    due = next_time(expression, schedule.since, anchor=schedule.anchor, timezone=timezone)
                except (OverflowError, ValueError):
                    # The clock was advanced so far that this one has no next time, unlike the others.
                    _log.exception("The next time of %s cannot be determined", schedule.arn)
                    continue
                if due is None or due > now:
                    continue
                schedule.since = now
                if enabled:
                    schedule.fire(due)
                    fired.append(str(schedule.arn))
        return fired

    def shutdown(self) -> None:
        """Stop the thread and restore moto's own EventBridge."""
        self._ended.set()
        self._thread.join(_SHUTDOWN_SECONDS)
        self._targets.close()

    def _run(self) -> None:
        while not self._ended.wait(_CHECK_SECONDS):
            try:
                self.fire_due()
            except Exception:
                _log.exception("Checking the schedules failed")

    def _schedules(self) -> Iterator[tuple[Any, str, str, bool]]:
        """Yield each rule or schedule with its expression, its time zone and whether it is enabled."""
        for backend in [*events_backends[self._account_id].values()]:
            for bus in [*backend.event_buses.values()]:
                for rule in [*bus.rules.values()]:
                    if rule.scheduled_expression:
                        yield rule, rule.scheduled_expression, "UTC", rule.state != "DISABLED"
        now = self.now().timestamp()
        for backend in [*scheduler_backends[self._account_id].values()]:
            for group in [*backend.schedule_groups.values()]:
                for schedule in [*group.schedules.values()]:
                    enabled = schedule.state != "DISABLED" and not _ended(schedule, now)
                    yield (
                        schedule,
                        schedule.schedule_expression,
                        schedule.schedule_expression_timezone,
                        enabled,
                    )


def _ended(schedule: Any, now: float) -> bool:
    return schedule.end_date is not None and float(schedule.end_date) < now
