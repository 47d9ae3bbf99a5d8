"""Watch the run that works for a Callback step, in the triggerer."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from airflow.triggers.base import TriggerEvent

from sagemaker_pipelines.states import STOPPED_STATUSES
from sagemaker_pipelines.triggers.base import TASK_IS_OVER, WorkerTrigger
from sagemaker_pipelines.triggers.poller import watching

# How often Airflow is asked whether the other tasks of the run have ended, seconds.
ASK_SECONDS = 5.0


class SageMakerCallbackTrigger(WorkerTrigger):
    """Fire when the other tasks of the run have ended, or must not go on.

    The payload is ``{"event": "ended" | "stopped" | "timeout" | "error", "status", "message"}``.

    :param pipeline_execution_arn: the execution whose Callback step waits.
    :param other_task_ids: the tasks that work for the step.
    :param waiter_delay: the longest time between two polls of the execution, seconds.
    :param deadline: when to give up, seconds since the epoch.
    :param version: the version of these arguments, for waits that outlive an upgrade of this package.
    :param kwargs: the connection's arguments, see :class:`~sagemaker_pipelines.triggers.base.AwsTrigger`.
    """

    VERSION = 1
    arguments = ("pipeline_execution_arn", "other_task_ids", "waiter_delay", "deadline", "version")

    def __init__(
        self,
        *,
        pipeline_execution_arn: str,
        other_task_ids: Sequence[str],
        waiter_delay: float,
        deadline: float,
        version: int = VERSION,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.pipeline_execution_arn = pipeline_execution_arn
        self.other_task_ids = list(other_task_ids)
        self.waiter_delay = waiter_delay
        self.deadline = deadline
        self.version = version

    async def watch(self) -> AsyncGenerator[TriggerEvent, None]:
        """Watch the execution, the deadline and the other tasks."""
        async with watching(
            self.connection,
            self.pipeline_execution_arn,
            waiter_delay=self.waiter_delay,
            make_hook=self.hook,
        ) as wait:
            while True:
                await wait.news(max(0.0, min(ASK_SECONDS, self.deadline - time.time())))
                while wait.lines:
                    self.log.info(wait.lines.pop(0))
                if wait.error is not None:
                    yield _event("error", message=f"{type(wait.error).__name__}: {wait.error}")
                    return
                if wait.has_ended or wait.status in STOPPED_STATUSES:
                    yield _event("stopped", status=wait.status)
                    return
                if await self._others_have_ended():
                    yield _event("ended")
                    return
                if time.time() >= self.deadline:
                    yield _event("timeout")
                    return

    async def _others_have_ended(self) -> bool:
        try:
            states = await self.task_states(self.other_task_ids)
        except Exception as error:
            # Whatever it is, Airflow is asked again.
            self.log.warning("Airflow did not say whether the other tasks have ended: %s", error)
            return False
        return bool(states) and all(state in TASK_IS_OVER for state in states)


def _event(event: str, *, status: str | None = None, message: str | None = None) -> TriggerEvent:
    return TriggerEvent({"event": event, "status": status, "message": message})  # type: ignore[no-untyped-call]
