"""Run the stages, then remove everything that was created, whatever has happened in between."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sagemaker_pipelines.cli.smoke.place import Place
from sagemaker_pipelines.cli.smoke.removal import Created, Removal
from sagemaker_pipelines.cli.smoke.stages import Stages

PASSED, FAILED, INTERRUPTED, NOT_REACHED = "passed", "failed", "interrupted", "not reached"
_INTERRUPTED_BY = "by Ctrl-C or another signal"


@dataclass
class StageResult:
    """What became of a stage.

    :param name: the stage.
    :param state: ``passed``, ``failed``, ``interrupted`` or ``not reached``.
    :param text: what was found, or what went wrong.
    :param seconds: how long it took.
    """

    name: str
    state: str = NOT_REACHED
    text: str = ""
    seconds: float = 0.0


@dataclass
class Result:
    """What became of a run.

    :param stages: every stage, the removal last.
    :param created: what was created.
    :param instance_seconds: what the jobs have billed.
    """

    stages: list[StageResult] = field(default_factory=list)
    created: list[Created] = field(default_factory=list)
    instance_seconds: float = 0.0

    @property
    def state(self) -> str:
        """``interrupted`` or ``failed`` if any stage is, else ``passed``."""
        states = {stage.state for stage in self.stages}
        return next((state for state in (INTERRUPTED, FAILED) if state in states), PASSED)

    @property
    def left(self) -> list[Created]:
        """What could not be removed."""
        return [each for each in self.created if each.problem]


def run(place: Place, parameters: Mapping[str, str], tell: Callable[[StageResult], Any]) -> Result:
    """Run every stage until one fails, then remove everything.

    Ctrl-C, SIGTERM and SIGHUP end the current stage; a second one ends the removal.

    :param place: where the run works.
    :param parameters: values of the pipeline's parameters.
    :param tell: called with each stage that has ended.
    """
    stages = Stages(place, parameters)
    result = Result([StageResult(name) for name, _ in stages])
    with _interrupted_by_signals():
        try:
            for stage, (_, act) in zip(result.stages, stages, strict=True):
                _run_stage(stage, act)
                tell(stage)
                if stage.state != PASSED:
                    break
        except KeyboardInterrupt:
            # Between two stages.
            for stage in [each for each in result.stages if each.state == NOT_REACHED][:1]:
                stage.state, stage.text = INTERRUPTED, _INTERRUPTED_BY
        finally:
            # Also if nobody reads what is told any more.
            remove(place, result, tell)
    return result


def remove(place: Place, result: Result, tell: Callable[[StageResult], Any]) -> Result:
    """Remove what a run created, add what was found to its result, and return the result.

    :param place: where the run worked.
    :param result: the result so far.
    :param tell: called with the stage ``remove``.
    """
    removal = Removal(place)
    stage = StageResult("remove")
    _run_stage(stage, lambda: f"{len(removal.run())} removed")
    if stage.state == PASSED and removal.left:
        stage.state, stage.text = FAILED, f"{len(removal.left)} of {len(removal.created)} left"
    result.stages.append(stage)
    result.created, result.instance_seconds = removal.created, removal.instance_seconds
    if stage.state == INTERRUPTED:
        rest = Created(
            "everything", f"of the run {place.run_id}", "the removal was interrupted before its end"
        )
        result.created.append(rest)
    tell(stage)
    return result


def _run_stage(stage: StageResult, act: Callable[[], str]) -> None:
    began = time.monotonic()
    try:
        stage.text, stage.state = act(), PASSED
    except KeyboardInterrupt:
        stage.state, stage.text = INTERRUPTED, _INTERRUPTED_BY
    # Whatever goes wrong, also a mistake of ours, what was created has to be removed.
    except Exception as error:
        stage.state, stage.text = FAILED, f"{type(error).__name__}: {error}"
    stage.seconds = round(time.monotonic() - began, 1)


@contextmanager
def _interrupted_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP interrupt like Ctrl-C, instead of ending the process at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.default_int_handler) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
