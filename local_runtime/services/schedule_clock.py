"""Fire EventBridge's scheduled rules and schedules when they are due, by a clock that tests can move."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.events.models import events_backends  # noqa: TID253 - moto keeps the rules
from moto.scheduler.models import scheduler_backends  # noqa: TID253 - and the schedules

from local_runtime.services.event_targets import EventTargets, StartExecution
from local_runtime.services.schedule_times import next_time

_log = logging.getLogger(__name__)
_LOOK_SECONDS = 1.0  # AWS's own precision is a minute
_SHUTDOWN_SECONDS = 5.0


class ScheduleClock:
    """Look at the schedules each second, in a thread of its own.

    What was missed between two looks, as on a machine that slept, is made up for once and not for each time.

    :param account_id: the account that owns the rules and schedules.
    :param start_execution: is given a request of ``StartPipelineExecution`` and returns the ARN.
    """

    def __init__(self, account_id: str, start_execution: StartExecution) -> None:
        self._account_id = account_id
        self._moved = timedelta()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._targets = EventTargets(start_execution, self.now)
        self._thread = threading.Thread(target=self._run, name="schedules", daemon=True)
        self._thread.start()

    def now(self) -> datetime:
        """Return the time that schedules go by."""
        return datetime.now(UTC) + self._moved

    def move(self, seconds: float) -> list[str]:
        """Move the clock on, and return the ARNs of the rules and schedules that fired then."""
        with self._lock:
            self._moved += timedelta(seconds=seconds)
        return self.look()

    def look(self) -> list[str]:
        """Fire what is due now, each schedule once, and return the ARNs."""
        fired = []
        with self._lock:
            now = self.now()
            for schedule, expression, timezone, enabled in self._schedules():
                try:
                    due = next_time(expression, schedule.since, anchor=schedule.anchor, timezone=timezone)
                except (OverflowError, ValueError):
                    # The clock was moved so far that this one has no next time; the others have.
                    _log.exception("The next time of %s cannot be told", schedule.arn)
                    continue
                if due is None or due > now:
                    continue
                schedule.since = now
                if enabled:
                    schedule.fire(due)
                    fired.append(str(schedule.arn))
        return fired

    def shutdown(self) -> None:
        """End the thread, and give EventBridge back to moto."""
        self._ended.set()
        self._thread.join(_SHUTDOWN_SECONDS)
        self._targets.close()

    def _run(self) -> None:
        while not self._ended.wait(_LOOK_SECONDS):
            try:
                self.look()
            except Exception:
                _log.exception("The schedules could not be looked at")

    def _schedules(self) -> Iterator[tuple[Any, str, str, bool]]:
        """Yield what has an expression: itself, the expression, its time zone, whether it is enabled."""
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
