"""What a trigger waits for, and what the pollers have seen of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from sagemaker_pipelines.aws.pacing import Patience, delay_after
from sagemaker_pipelines.aws.steps import Step, StepLog
from sagemaker_pipelines.hooks.pipeline import SageMakerPipelineHook
from sagemaker_pipelines.states import is_end


class Wait:
    """One trigger's wait for an execution, or for one of its steps.

    :param pipeline_execution_arn: the execution.
    :param waiter_delay: the longest time between two polls for this wait, seconds.
    :param step_name: the step that a mirror shows; None waits for the execution.
    :param needs_steps: whether it needs every list of the steps, as mirrors do.
    :ivar status: the execution's status at the last poll; None before the first.
    :ivar error: why the execution cannot be watched any longer.
    :ivar lines: the lines that the trigger has to log; it removes them.
    :ivar steps: the steps at the last list.
    :ivar hook: the hook that read them.
    :ivar steps_are_final: whether they were listed after the execution was seen to have ended.
    """

    def __init__(
        self,
        pipeline_execution_arn: str,
        waiter_delay: float,
        step_name: str | None = None,
        *,
        needs_steps: bool = False,
    ) -> None:
        self.pipeline_execution_arn = pipeline_execution_arn
        self.waiter_delay = waiter_delay
        self.step_name = step_name
        self.needs_steps = needs_steps or step_name is not None
        self.status: str | None = None
        self.error: BaseException | None = None
        self.lines: list[str] = []
        self.steps: Sequence[Step] = ()
        self.steps_are_final = False
        self.hook: SageMakerPipelineHook | None = None
        self.patience = Patience()
        self.began = time.time()
        self._step_log = StepLog()
        self._news = asyncio.Event()

    @property
    def has_ended(self) -> bool:
        """Whether the last poll saw the execution's end."""
        return self.status is not None and is_end(self.status)

    @property
    def goes_on(self) -> bool:
        """Whether the execution still has to be polled."""
        return self.error is None and not self.has_ended

    def watches_same(self, other: Wait) -> bool:
        """Return whether another wait needs the same polls of the status."""
        return self.goes_on and self.pipeline_execution_arn == other.pipeline_execution_arn

    def wake(self, status: str | None = None, error: BaseException | None = None) -> None:
        """Wake up the trigger.

        :param status: the status that the poll saw.
        :param error: a permanent error.
        """
        self.status = status or self.status
        self.error = error or self.error
        # An execution that was resumed changes its steps again.
        self.steps_are_final = self.steps_are_final and self.has_ended
        self._news.set()

    def endure(self, error: Exception, line: str) -> None:
        """Wait on with a line for the log, or end with an error that the wait does not survive.

        :param error: the error of AWS.
        :param line: says that the call is tried again.
        """
        try:
            self.patience.endure(error)
        except Exception as final:
            # Whatever it is, the trigger tells its task.
            self.wake(error=final)
        else:
            self.lines.append(line)
            self.wake()

    def see_steps(self, steps: Sequence[Step], hook: SageMakerPipelineHook, *, final: bool) -> None:
        """Take the steps of a list, and wake the trigger if they contain anything new for it.

        :param steps: the steps that have begun.
        :param hook: the hook that read them.
        :param final: whether the execution had ended before the list.
        """
        self.steps, self.steps_are_final, self.hook = steps, final, hook
        if self.step_name is None:
            changed = self._step_log.changes(steps)
            self.lines += map(str, changed)
        else:
            changed = self._step_log.changes(step for step in steps if step.name == self.step_name)
        if changed or final:
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
