"""Wait for a pipeline execution in the triggerer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from airflow.sdk import TaskInstanceState
from airflow.triggers.base import TriggerEvent

from sagemaker_pipelines.aws.budget import Bounds, Budget
from sagemaker_pipelines.aws.errors import is_transient
from sagemaker_pipelines.aws.steps import Step
from sagemaker_pipelines.aws.stopping import stop_execution
from sagemaker_pipelines.states import STOPPING
from sagemaker_pipelines.triggers.base import WorkerTrigger
from sagemaker_pipelines.triggers.poller import watching
from sagemaker_pipelines.triggers.threads import KILL, LOOK, in_thread

# Airflow gives a trigger's on_kill 30 s. It has to ask whether the task still waits, and stop the execution.
ASK_SECONDS = 9.0
ASK_AGAIN_SECONDS = 1.0
STOP_SECONDS = 18.0
# What running jobs have billed is compared with the bounds at least this often, seconds.
BOUNDS_SECONDS = 15.0


class SageMakerPipelineExecutionTrigger(WorkerTrigger):
    """Fire once when a pipeline execution has ended in any way, or when the deadline has passed.

    The event says what was seen and does not judge it. The task judges it, with the same code as in the
    other modes. The payload is ``{"event": "ended" | "timeout" | "too_much" | "error",
    "pipeline_execution_arn", "status", "message"}``; after ``too_much``, a status means that it was stopped.

    :param pipeline_execution_arn: the execution.
    :param waiter_delay: the longest time between two polls, seconds.
    :param deadline: when to give up, seconds since the epoch; None waits for as long as it takes.
    :param stop_on_kill: whether to stop the execution if a user fails or clears the task, or at the deadline.
    :param max_instance_seconds: see the sensor; what has billed more is stopped.
    :param max_cost: see the sensor.
    :param earlier: by step and job, what the jobs before the last resume had billed.
    :param version: the version of these arguments, for waits that outlive an upgrade of this package.
    :param kwargs: the connection's arguments, see :class:`~sagemaker_pipelines.triggers.base.AwsTrigger`.
    """

    VERSION = 1
    arguments = (
        "pipeline_execution_arn",
        "waiter_delay",
        "deadline",
        "stop_on_kill",
        "version",
    )
    added_arguments = ("max_instance_seconds", "max_cost", "earlier")

    def __init__(
        self,
        *,
        pipeline_execution_arn: str,
        waiter_delay: float = 60,
        deadline: float | None = None,
        stop_on_kill: bool = True,
        max_instance_seconds: float | None = None,
        max_cost: float | None = None,
        earlier: dict[str, dict[str, float]] | None = None,
        version: int = VERSION,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.pipeline_execution_arn = pipeline_execution_arn
        self.waiter_delay = waiter_delay
        self.deadline = deadline
        self.stop_on_kill = stop_on_kill
        self.max_instance_seconds = max_instance_seconds
        self.max_cost = max_cost
        self.earlier = earlier or None
        self.version = version
        self._budget: Budget | None = None
        # The event loop alone does not keep the task from being garbage collected.
        self._kill_work: asyncio.Future[None] | None = None

    async def watch(self) -> AsyncGenerator[TriggerEvent, None]:
        """Poll until the execution has ended, together with the other waits of this triggerer."""
        async with watching(
            self.connection,
            self.pipeline_execution_arn,
            waiter_delay=self.waiter_delay,
            make_hook=self.hook,
            needs_steps=bool(self._bounds),
        ) as wait:
            looked = False
            while True:
                await wait.news(self._patience() if looked else None)
                looked = True
                while wait.lines:
                    self.log.info(wait.lines.pop(0))
                if wait.error is not None:
                    self.log.error("Cannot watch %s: %s", self.pipeline_execution_arn, wait.error)
                    yield self._event("error", message=f"{type(wait.error).__name__}: {wait.error}")
                    return
                if wait.has_ended:
                    yield self._event("ended", status=wait.status)
                    return
                if excess := await self._excess(wait.steps):
                    stopped = await self._stop()
                    yield self._event("too_much", status=STOPPING if stopped else None, message=excess)
                    return
                if self._seconds_left() == 0:
                    if self.stop_on_kill:
                        await self._stop()
                    yield self._event("timeout")
                    return

    async def on_kill(self) -> None:
        """Stop the execution, unless the task still waits.

        Airflow calls this when a user fails, clears or marks the task. It also calls it in a triggerer that
        was so slow that its triggers were given to another one; the task is still deferred then.
        """
        if not self.stop_on_kill:
            self.log.info("stop_on_kill is off: %s keeps running", self.pipeline_execution_arn)
            return
        # Airflow 3.3 cancels on_kill itself when it takes longer than a second, because the supervisor
        # repeats its request until the trigger is gone. The work is therefore done in a separate task.
        work = self._kill_work = asyncio.ensure_future(self._stop_unless_deferred())
        while not work.done():
            with suppress(asyncio.CancelledError):
                await asyncio.shield(work)
        work.result()

    async def _stop_unless_deferred(self) -> None:
        deadline = time.monotonic() + ASK_SECONDS
        while True:
            try:
                is_deferred = await self._is_still_deferred()
                break
            except Exception as error:
                if time.monotonic() >= deadline:
                    self.log.error(  # noqa: TRY400 - expected
                        "%s keeps running: Airflow did not say whether its task still waits (%s). If nothing "
                        "watches it, the orphan sweep reports it; stop it in SageMaker.",
                        self.pipeline_execution_arn,
                        error,
                    )
                    return
                self.log.warning("Airflow did not say whether the task still waits; retrying: %s", error)
            await asyncio.sleep(ASK_AGAIN_SECONDS)
        if is_deferred:
            self.log.info("%s keeps running: another triggerer watches it", self.pipeline_execution_arn)
            return
        await self._stop()

    async def _is_still_deferred(self) -> bool:
        states = await self.task_states([self.ti.task_id], map_index=self.ti.map_index)
        return TaskInstanceState.DEFERRED in states

    async def _stop(self) -> bool:
        return await in_thread(self._stop_now, purpose=KILL, connection=self.connection)

    def _stop_now(self) -> bool:
        deadline = time.monotonic() + STOP_SECONDS
        while True:
            try:
                client = self.hook().kill_client()
                break
            except Exception as error:
                # Creating the client reads the Airflow connection, and may assume a role.
                if not is_transient(error) or time.monotonic() >= deadline:
                    self.log.error(  # noqa: TRY400 - expected
                        "%s keeps running, because AWS could not be reached to stop it: %s. The orphan sweep "
                        "reports it; stop it in SageMaker.",
                        self.pipeline_execution_arn,
                        error,
                    )
                    return False
                self.log.warning("Cannot connect to AWS; retrying: %s", error)
            time.sleep(ASK_AGAIN_SECONDS)
        seconds = max(0.0, deadline - time.monotonic())
        return stop_execution(client, self.pipeline_execution_arn, seconds=seconds, log=self.log)

    @property
    def _bounds(self) -> Bounds:
        return Bounds(max_instance_seconds=self.max_instance_seconds, max_cost=self.max_cost)

    async def _excess(self, steps: Sequence[Step]) -> str | None:
        """Return which bound has been passed; None while all hold, or if that cannot be read now."""
        if not self._bounds:
            return None
        try:
            return await in_thread(partial(self._measure, steps), purpose=LOOK, connection=self.connection)
        except Exception as error:
            # The connection, a secrets backend or AWS: the wait itself survives that, too.
            self.log.warning("What the execution bills cannot be read now: %s", error)
            return None

    def _measure(self, steps: Sequence[Step]) -> str | None:
        if self._budget is None:
            self._budget = Budget(
                self.hook().client, self.pipeline_execution_arn, self._bounds, self.earlier or {}
            )
        return self._budget.excess(steps)

    def _patience(self) -> float | None:
        """Return the seconds until something has to be checked without news; None for never."""
        left = self._seconds_left()
        if not self._bounds:
            return left
        return BOUNDS_SECONDS if left is None else min(left, BOUNDS_SECONDS)

    def _seconds_left(self) -> float | None:
        return None if self.deadline is None else max(0.0, self.deadline - time.time())

    def _event(self, event: str, *, status: str | None = None, message: str | None = None) -> TriggerEvent:
        return TriggerEvent(  # type: ignore[no-untyped-call]
            {
                "event": event,
                "pipeline_execution_arn": self.pipeline_execution_arn,
                "status": status,
                "message": message,
            }
        )
