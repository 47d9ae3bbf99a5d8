"""List the steps of the executions that a triggerer watches, with one limit for each connection."""

from __future__ import annotations

import asyncio
import contextvars
import math
import time
from collections.abc import Callable, Hashable, Iterable
from contextlib import suppress
from functools import partial

from sagemaker_pipelines import measures
from sagemaker_pipelines.aws.pacing import backoff, delay_after
from sagemaker_pipelines.aws.steps import Step
from sagemaker_pipelines.aws.survey import MAX_DESCRIBED
from sagemaker_pipelines.hooks.pipeline import SageMakerPipelineHook
from sagemaker_pipelines.triggers.base import option
from sagemaker_pipelines.triggers.threads import LOOK, T, in_thread
from sagemaker_pipelines.triggers.waits import Wait

# Without mirrors, the steps of one of many waits are read in this interval, for its log.
SECONDS_PER_LOG = 20.0
# The longest time between two lists of the steps of an execution with mirrors.
MIRROR_DELAY_SECONDS = 30.0


def lists_per_second() -> float:
    """Return Airflow's option ``[sagemaker_pipelines] step_lists_per_second``, default 1."""
    return max(0.01, option("step_lists_per_second", 1.0))


class StepLists:
    """Calls ListPipelineExecutionSteps for all pollers of a connection, one execution after the other.

    Executions that have ended come first, because their mirrors wait only for this list. Of the others, the
    young come more often than those that have run for hours: the interval is a tenth of the age.

    :param connection: the key that distinguishes connections.
    """

    def __init__(self, connection: Hashable) -> None:
        self._connection = connection
        self._waits: list[Wait] = []
        self._listed: dict[str, float] = {}
        self._steps: dict[str, list[Step]] = {}
        self._last_log = -math.inf
        self._changed = asyncio.Event()
        self._hook: SageMakerPipelineHook | None = None
        # Of each execution whose list failed: how often in a row, and when to try again.
        self._faults: dict[str, tuple[int, float]] = {}
        self._task: asyncio.Task[None] | None = None

    def join(self, wait: Wait, make_hook: Callable[[], SageMakerPipelineHook]) -> None:
        """List the steps of one more wait's execution.

        :param wait: gets the steps.
        :param make_hook: makes the hook that calls AWS; the first wait's hook is used for all.
        """
        self._waits.append(wait)
        known = self._steps.get(wait.pipeline_execution_arn)
        if known is not None and self._hook is not None:
            # A mirror often begins when its step has already ended.
            wait.see_steps(known, self._hook, final=False)
        self._changed.set()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(
                self._run(make_hook), name="list steps", context=contextvars.Context()
            )

    def leave(self, wait: Wait) -> None:
        """Stop listing for one wait; the last one ends the calls."""
        self._waits.remove(wait)
        arns = {wait.pipeline_execution_arn for wait in self._waits}
        self._listed = {arn: at for arn, at in self._listed.items() if arn in arns}
        self._steps = {arn: steps for arn, steps in self._steps.items() if arn in arns}
        self._faults = {arn: fault for arn, fault in self._faults.items() if arn in arns}
        if not self._waits and self._task is not None:
            self._task.cancel()
            self._task = None

    def notice(self) -> None:
        """Look again at what is due, because the status of an execution has changed."""
        self._changed.set()

    async def _run(self, make_hook: Callable[[], SageMakerPipelineHook]) -> None:
        pause = 1 / lists_per_second()
        while self._waits:
            self._changed.clear()
            arn, seconds = self._next()
            if arn is None or seconds > 0:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), None if arn is None else seconds)
                continue
            began = time.monotonic()
            await self._list(arn, make_hook)
            await asyncio.sleep(max(0.0, began + pause - time.monotonic()))

    def _next(self) -> tuple[str | None, float]:
        """Return the execution whose list is due first, and in how many seconds."""
        now = time.monotonic()
        due = {arn: self._due(arn, waits) for arn, waits in self._by_execution().items()}
        # An execution whose list fails steps back behind the others.
        known = {arn: max(at, self._retry_at(arn)) for arn, at in due.items() if at is not None}
        if not known:
            return None, 0.0
        # Of several that are due at once, the one that was listed longest ago comes first.
        first = min(known, key=lambda arn: (known[arn], self._listed.get(arn, 0.0)))
        return first, known[first] - now

    def _due(self, arn: str, waits: list[Wait]) -> float | None:
        """Return when the list of an execution is due, in the time of ``time.monotonic``; None for never."""
        mirrors = [wait for wait in waits if wait.step_name is not None]
        if any(wait.has_ended and not wait.steps_are_final for wait in mirrors):
            return 0.0
        if not any(wait.goes_on for wait in waits):
            # The log of a wait that has ended is written by its task.
            return None
        needed = any(wait.needs_steps for wait in waits)
        if not needed and len({wait.pipeline_execution_arn for wait in self._waits}) > MAX_DESCRIBED:
            return self._last_log + SECONDS_PER_LOG
        longest = min([wait.waiter_delay for wait in waits] + [MIRROR_DELAY_SECONDS] * needed)
        age = time.time() - min(wait.began for wait in waits)
        return self._listed.get(arn, 0.0) + delay_after(age, longest)

    def _by_execution(self) -> dict[str, list[Wait]]:
        found: dict[str, list[Wait]] = {}
        for wait in self._waits:
            if wait.error is None:
                found.setdefault(wait.pipeline_execution_arn, []).append(wait)
        return found

    async def _list(self, arn: str, make_hook: Callable[[], SageMakerPipelineHook]) -> None:
        ended = any(wait.has_ended for wait in self._of(arn))
        self._listed[arn] = time.monotonic()
        if not any(wait.needs_steps for wait in self._of(arn)):
            self._last_log = self._listed[arn]
        try:
            hook = await self._connected(make_hook)
            steps = self._steps[arn] = await self._in_thread(partial(hook.client.list_steps, arn))
        except Exception as error:
            self._on_error(arn, error)
            return
        self._faults.pop(arn, None)
        measures.count("poller.step_lists", arn)
        for wait in self._of(arn):
            # The execution may have been resumed while it was listed.
            wait.see_steps(steps, hook, final=ended and wait.has_ended)

    def _of(self, arn: str) -> Iterable[Wait]:
        return [wait for wait in self._waits if wait.pipeline_execution_arn == arn]

    def _on_error(self, arn: str, error: Exception) -> None:
        """End the mirrors that do not survive an error, and list again later for the others."""
        faults = self._faults.get(arn, (0, 0.0))[0] + 1
        self._faults[arn] = faults, time.monotonic() + backoff(1 / lists_per_second(), faults)
        self._hook = None
        line = f"AWS did not list the steps (fault {faults} in a row); retrying: {error}"
        for wait in self._of(arn):
            if wait.step_name is not None:
                wait.endure(error, line)
            elif wait.needs_steps:
                # Its bounds are compared by the last list meanwhile: the jobs that began later are missing.
                wait.lines.append(line)
                wait.wake()

    def _retry_at(self, arn: str) -> float:
        return self._faults.get(arn, (0, 0.0))[1]

    async def _connected(self, make_hook: Callable[[], SageMakerPipelineHook]) -> SageMakerPipelineHook:
        if self._hook is None:
            self._hook = await self._in_thread(make_hook)
        return self._hook

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await in_thread(call, purpose=LOOK, connection=self._connection)
