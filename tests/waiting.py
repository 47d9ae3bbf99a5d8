"""Wait for what a test needs to see, however slow the machine is."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from sagemaker_pipelines.exceptions import AirflowRequestError

T = TypeVar("T")

#: For Airflow's processes. A machine that does much else must not fail a task that lives: the laptop's 15 s
#: are for workers that are killed.
PATIENT = {
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "60",
    "AIRFLOW__SAGEMAKER_PIPELINES__SETTLE_SECONDS": "8",
}

# Nothing takes as long, except on a machine that does much else, and there it must not fail.
GENEROUS_SECONDS = 300.0
# What runs through an Airflow, with executions.
RUN_SECONDS = 800.0


def until(
    ready: Callable[[], T | None],
    what: str = "it to happen",
    *,
    seconds: float = GENEROUS_SECONDS,
    every: float = 0.1,
) -> T:
    """Return the first true answer.

    :param ready: what is asked again and again.
    :param what: what is waited for, for the message.
    :param seconds: how long to wait at most.
    :param every: how long to wait between two questions, seconds.
    :raises AssertionError: there was none in time.
    """
    deadline = time.monotonic() + seconds
    while not (answer := ready()):
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}"
        time.sleep(every)
    return answer


def patiently(ask: Callable[[], T | None], what: str) -> T:
    """Return the first true answer of an Airflow that may be too busy to answer, as on a locked SQLite.

    :param ask: what is asked again and again; asking more than once does no more than asking once.
    :param what: what is waited for, for the message.
    :raises AssertionError: there was none in time; a note says what Airflow answered last.
    """
    refusals: list[str] = []

    def answered() -> T | None:
        try:
            return ask()
        except AirflowRequestError as error:
            refusals.append(str(error))
            return None

    try:
        return until(answered, what, seconds=RUN_SECONDS)
    except AssertionError as error:
        error.add_note(refusals[-1] if refusals else "Airflow refused nothing.")
        raise
