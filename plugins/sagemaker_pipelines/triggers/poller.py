"""One poller for all waits of a triggerer that share a connection, region and pipeline."""

from __future__ import annotations

import asyncio
import contextvars
import statistics
import time
import weakref
from collections import deque
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager

from botocore.exceptions import ClientError

from sagemaker_pipelines import measures
from sagemaker_pipelines.aws.pacing import backoff
from sagemaker_pipelines.aws.survey import MAX_DESCRIBED, ExecutionSurvey
from sagemaker_pipelines.hooks.pipeline import SageMakerPipelineHook
from sagemaker_pipelines.triggers.step_lists import StepLists
from sagemaker_pipelines.triggers.threads import LOOK, T, in_thread
from sagemaker_pipelines.triggers.waits import Wait

# For all waits together, no matter how many there are: the seconds between two pages of
# ListPipelineExecutions.
SECONDS_PER_PAGE = 2.25
_REMEMBERED_DURATIONS = 20


class ExecutionPoller:
    """Polls all watched executions of a pipeline, for as long as there are any.

    It logs nothing itself, because a line belongs in the log of the task that waits.

    :param connection: the key that distinguishes connections.
    :param pipeline_name: the pipeline's name.
    :param step_lists: learns of every change of a status.
    """

    def __init__(self, connection: Hashable, pipeline_name: str, step_lists: StepLists) -> None:
        self.connection = connection
        self.pipeline_name = pipeline_name
        self._step_lists = step_lists
        self._waits: list[Wait] = []
        self._survey: ExecutionSurvey | None = None
        self._task: asyncio.Task[None] | None = None
        self._joined = asyncio.Event()
        self._faults = 0
        # When the last poll began, in the time of time.monotonic.
        self._looked: float | None = None
        self._durations: deque[float] = deque(maxlen=_REMEMBERED_DURATIONS)

    @property
    def usual_seconds(self) -> float | None:
        """The median duration of the executions that this poller saw end."""
        return statistics.median(self._durations) if self._durations else None

    def join(self, wait: Wait, make_hook: Callable[[], SageMakerPipelineHook]) -> None:
        """Watch one more execution.

        :param wait: the wait to notify after each poll.
        :param make_hook: makes the hook that calls AWS; the first wait's hook is used for all.
        """
        sibling = next((other for other in self._waits if other.watches_same(wait)), None)
        self._waits.append(wait)
        if wait.step_name is not None and sibling is not None:
            # A mirror asks nothing of its own.
            wait.status, wait.began = sibling.status, sibling.began
        else:
            self._joined.set()
        if self._task is None or self._task.done():
            self._survey = self._looked = None
            # In a separate context, so that the hook's log lines do not end up in the first task's log.
            self._task = asyncio.create_task(
                self._poll(make_hook), name=f"poll {self.pipeline_name}", context=contextvars.Context()
            )

    def leave(self, wait: Wait) -> None:
        """Stop watching for one wait; the last one ends the polling."""
        self._waits.remove(wait)
        if not self._waits and self._task is not None:
            self._task.cancel()
            self._task = None

    async def _poll(self, make_hook: Callable[[], SageMakerPipelineHook]) -> None:
        while self._waits:
            self._joined.clear()
            began = time.monotonic()
            try:
                await self._look(make_hook)
            except Exception as error:
                self._on_error(error)
                if not any(wait.goes_on for wait in self._waits):
                    return
            await self._pause(began)

    async def _look(self, make_hook: Callable[[], SageMakerPipelineHook]) -> None:
        if self._survey is None:
            hook = await self._in_thread(make_hook)
            self._survey = ExecutionSurvey(hook.client, self.pipeline_name)
        survey = self._survey
        began = time.monotonic()
        # The mirrors of an execution share its poll, and so do two waits after a clear.
        arns = self._watched()
        try:
            seen = await self._in_thread(lambda: survey.look(arns))
        finally:
            self._measure(began, survey.calls, len(arns))
        for wait in self._waits:
            self._report(wait, seen.get(wait.pipeline_execution_arn), survey)
        self._step_lists.notice()
        self._faults = 0
        for wait in self._waits:
            # One that has ended waits for a list of its steps, of which this poll says nothing.
            if wait.goes_on:
                wait.patience.renew()

    def _measure(self, began: float, calls: int, executions: int) -> None:
        measures.count("poller.calls", self.pipeline_name, calls)
        measures.gauge("poller.executions", self.pipeline_name, executions)
        measures.duration("poller.duration", self.pipeline_name, time.monotonic() - began)
        if self._looked is not None:
            measures.duration("poller.delay", self.pipeline_name, began - self._looked)
        self._looked = began

    def _watched(self) -> list[str]:
        return sorted({wait.pipeline_execution_arn for wait in self._waits if wait.goes_on})

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await in_thread(call, purpose=LOOK, connection=self.connection)

    def _report(self, wait: Wait, seen: str | ClientError | None, survey: ExecutionSurvey) -> None:
        if started := survey.started.get(wait.pipeline_execution_arn):
            wait.began = min(wait.began, started.timestamp())
        if isinstance(seen, ClientError):
            wait.wake(error=seen)
        elif seen is not None:
            wait.wake(status=seen)
            if wait.has_ended and wait.step_name is None:
                self._durations.append(time.time() - wait.began)

    def _on_error(self, error: Exception) -> None:
        """End the waits that do not survive an error, and poll again for the others with a new connection."""
        self._faults += 1
        measures.count("poller.faults", self.pipeline_name)
        self._survey = None
        for wait in self._waits:
            if wait.goes_on:
                wait.endure(error, f"AWS did not answer (fault {self._faults} in a row); retrying: {error}")

    def _pacemakers(self) -> list[Wait]:
        """Return the waits that decide how often to poll: a mirror only where no wait watches."""
        waits = [wait for wait in self._waits if wait.goes_on]
        watched = {wait.pipeline_execution_arn for wait in waits if wait.step_name is None}
        return [
            wait for wait in waits if wait.step_name is None or wait.pipeline_execution_arn not in watched
        ]

    async def _pause(self, began: float) -> None:
        """Sleep until the next poll is due; a new wait brings it forward, within the limit on calls."""
        pace = self._pacemakers()
        if not pace:
            # Only mirrors are left, which wait for the last list of their steps.
            await self._joined.wait()
            return
        calls = self._survey.calls if self._survey is not None else 1
        floor = SECONDS_PER_PAGE * calls if len(self._watched()) > MAX_DESCRIBED else 0.0
        delay = max(floor, min(wait.delay(self.usual_seconds) for wait in pace))
        if self._faults:
            await asyncio.sleep(backoff(delay, self._faults))
            return
        await asyncio.sleep(max(0.0, began + floor - time.monotonic()))
        rest = began + delay - time.monotonic()
        if rest > 0:
            try:
                await asyncio.wait_for(self._joined.wait(), rest)
            except TimeoutError:
                return


_POLLERS: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Hashable, ExecutionPoller]] = (
    weakref.WeakKeyDictionary()
)
_STEP_LISTS: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Hashable, StepLists]] = (
    weakref.WeakKeyDictionary()
)


@asynccontextmanager
async def watching(
    connection: Hashable,
    pipeline_execution_arn: str,
    *,
    waiter_delay: float,
    make_hook: Callable[[], SageMakerPipelineHook],
    step_name: str | None = None,
    needs_steps: bool = False,
) -> AsyncIterator[Wait]:
    """Watch an execution, or one step of it, while the context lasts.

    :param connection: the key that distinguishes connections: connection id, region and options.
    :param pipeline_execution_arn: the execution.
    :param waiter_delay: the longest time between two polls, seconds.
    :param make_hook: makes the hook; called in a thread, if no other wait has already made one.
    :param step_name: the step; None watches the execution.
    :param needs_steps: whether a wait for the execution needs its steps as often as a mirror does.
    """
    loop = asyncio.get_running_loop()
    pipeline_arn = pipeline_execution_arn.partition("/execution/")[0]
    lists = _STEP_LISTS.setdefault(loop, {}).setdefault(connection, StepLists(connection))
    poller = _POLLERS.setdefault(loop, {}).setdefault(
        (connection, pipeline_arn), ExecutionPoller(connection, pipeline_arn.rpartition("/")[2], lists)
    )
    wait = Wait(pipeline_execution_arn, waiter_delay, step_name, needs_steps=needs_steps)
    poller.join(wait, make_hook)
    lists.join(wait, make_hook)
    try:
        yield wait
    finally:
        poller.leave(wait)
        lists.leave(wait)
