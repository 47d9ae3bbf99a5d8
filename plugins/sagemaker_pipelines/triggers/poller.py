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
from functools import partial

from botocore.exceptions import ClientError

from sagemaker_pipelines.aws.errors import is_transient
from sagemaker_pipelines.aws.pacing import Patience, backoff, delay_after
from sagemaker_pipelines.aws.steps import StepLog
from sagemaker_pipelines.aws.survey import MAX_DESCRIBED, ExecutionSurvey
from sagemaker_pipelines.hooks.pipeline import POLLING_CONFIG, SageMakerPipelineHook
from sagemaker_pipelines.states import is_end
from sagemaker_pipelines.triggers.threads import LOOK, T, in_thread

# The rate of calls for all waits together, no matter how many there are: the seconds between two pages of
# ListPipelineExecutions, and between two calls of ListPipelineExecutionSteps.
SECONDS_PER_PAGE = 4.5
SECONDS_PER_STEP_LIST = 10.0
_REMEMBERED_DURATIONS = 20


class Wait:
    """One trigger's wait for one execution.

    :param pipeline_execution_arn: the execution.
    :param waiter_delay: the longest time between two polls for this wait, seconds.
    :ivar status: the status at the last poll; None before the first.
    :ivar error: why the execution cannot be watched any longer.
    :ivar lines: the lines that the trigger has to log; it removes them.
    """

    def __init__(self, pipeline_execution_arn: str, waiter_delay: float) -> None:
        self.pipeline_execution_arn = pipeline_execution_arn
        self.waiter_delay = waiter_delay
        self.status: str | None = None
        self.error: BaseException | None = None
        self.lines: list[str] = []
        self.step_log = StepLog()
        self.patience = Patience()
        self.began = time.time()
        self._news = asyncio.Event()

    @property
    def has_ended(self) -> bool:
        """Whether the last poll saw the execution's end."""
        return self.status is not None and is_end(self.status)

    @property
    def goes_on(self) -> bool:
        """Whether the execution still has to be polled."""
        return self.error is None and not self.has_ended

    def wake(self, status: str | None = None, error: BaseException | None = None) -> None:
        """Wake up the trigger.

        :param status: the status that the poll saw.
        :param error: a permanent error.
        """
        self.status = status or self.status
        self.error = error or self.error
        self._news.set()

    async def news(self, timeout: float | None) -> None:
        """Wait for the next poll, or until the timeout."""
        try:
            await asyncio.wait_for(self._news.wait(), timeout)
        except TimeoutError:
            return
        self._news.clear()

    def delay(self, usual_seconds: float | None) -> float:
        """Return the seconds until the next poll: short at first, and near the usual duration.

        :param usual_seconds: how long executions of this pipeline usually take, if that is known.
        """
        age = max(0.0, time.time() - self.began)
        distance = age if usual_seconds is None else min(age, abs(usual_seconds - age))
        return delay_after(distance, self.waiter_delay)


class ExecutionPoller:
    """Polls all watched executions of a pipeline, for as long as there are any.

    It logs nothing itself, because a line belongs in the log of the task that waits.

    :param connection: the key that distinguishes connections.
    :param pipeline_name: the pipeline's name.
    """

    def __init__(self, connection: Hashable, pipeline_name: str) -> None:
        self.connection = connection
        self.pipeline_name = pipeline_name
        self._waits: list[Wait] = []
        self._survey: ExecutionSurvey | None = None
        self._task: asyncio.Task[None] | None = None
        self._joined = asyncio.Event()
        self._faults = 0
        self._next_step_list = 0.0
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
        self._waits.append(wait)
        self._joined.set()
        if self._task is None or self._task.done():
            self._survey = None
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
            hook.default_config = POLLING_CONFIG
            self._survey = ExecutionSurvey(hook.client, self.pipeline_name)
        survey = self._survey
        # After a clear, a task may have been deferred twice; its two waits share a poll.
        arns = sorted({wait.pipeline_execution_arn for wait in self._waits if wait.goes_on})
        seen = await self._in_thread(lambda: survey.look(arns))
        for wait in self._waits:
            self._report(wait, seen.get(wait.pipeline_execution_arn), survey)
        await self._list_steps(survey)
        self._faults = 0
        for wait in self._waits:
            wait.patience.renew()

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await in_thread(call, purpose=LOOK, connection=self.connection)

    def _report(self, wait: Wait, seen: str | ClientError | None, survey: ExecutionSurvey) -> None:
        if started := survey.started.get(wait.pipeline_execution_arn):
            wait.began = min(wait.began, started.timestamp())
        if isinstance(seen, ClientError):
            wait.wake(error=seen)
        elif seen is not None:
            wait.wake(status=seen)
            if wait.has_ended:
                self._durations.append(time.time() - wait.began)

    async def _list_steps(self, survey: ExecutionSurvey) -> None:
        """Read the steps of every wait, or only of the next one if there are many."""
        waits = [wait for wait in self._waits if wait.goes_on]
        if len(waits) > MAX_DESCRIBED:
            if time.monotonic() < self._next_step_list:
                return
            self._next_step_list = time.monotonic() + SECONDS_PER_STEP_LIST
            # The wait that is served now goes to the end of the line.
            self._waits.remove(waits[0])
            self._waits.append(waits[0])
            del waits[1:]
        for wait in waits:
            try:
                steps = await self._in_thread(partial(survey.client.list_steps, wait.pipeline_execution_arn))
            except ClientError as error:
                # The poll has already reported its status, or that it does not exist.
                if is_transient(error):
                    raise
                continue
            if steps := wait.step_log.changes(steps):
                wait.lines += map(str, steps)
                wait.wake()

    def _on_error(self, error: Exception) -> None:
        """End the waits that do not survive an error, and poll again for the others with a new connection."""
        self._faults += 1
        self._survey = None
        for wait in self._waits:
            if not wait.goes_on:
                continue
            try:
                wait.patience.endure(error)
            except Exception as final:
                wait.wake(error=final)
            else:
                wait.lines.append(f"AWS did not answer (fault {self._faults} in a row); retrying: {error}")
                wait.wake()

    async def _pause(self, began: float) -> None:
        """Sleep until the next poll is due; a new wait brings it forward, within the limit on calls."""
        calls = self._survey.calls if self._survey is not None else 1
        floor = SECONDS_PER_PAGE * calls if len(self._waits) > MAX_DESCRIBED else 0.0
        wanted = min((wait.delay(self.usual_seconds) for wait in self._waits), default=0.0)
        delay = max(floor, wanted)
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


@asynccontextmanager
async def watching(
    connection: Hashable,
    pipeline_execution_arn: str,
    *,
    waiter_delay: float,
    make_hook: Callable[[], SageMakerPipelineHook],
) -> AsyncIterator[Wait]:
    """Watch an execution while the context lasts.

    :param connection: the key that distinguishes connections: connection id, region and options.
    :param pipeline_execution_arn: the execution.
    :param waiter_delay: the longest time between two polls, seconds.
    :param make_hook: makes the hook; called in a thread, if no other wait has already made one.
    """
    pipeline_arn = pipeline_execution_arn.partition("/execution/")[0]
    pollers = _POLLERS.setdefault(asyncio.get_running_loop(), {})
    key = (connection, pipeline_arn)
    poller = pollers.setdefault(key, ExecutionPoller(connection, pipeline_arn.rpartition("/")[2]))
    wait = Wait(pipeline_execution_arn, waiter_delay)
    poller.join(wait, make_hook)
    try:
        yield wait
    finally:
        poller.leave(wait)
