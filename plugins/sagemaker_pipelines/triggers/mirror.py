"""Show one step of an execution as a task, in the triggerer."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from airflow.providers.amazon.aws.links.base_aws import BaseAwsLink
from airflow.triggers.base import (
    TaskFailedEvent,
    TaskSkippedEvent,
    TaskSuccessEvent,
    TriggerEvent,
)
from asgiref.sync import sync_to_async

from sagemaker_pipelines.aws.outcome import failure_cause
from sagemaker_pipelines.aws.steps import Step
from sagemaker_pipelines.hooks.pipeline import SageMakerPipelineHook
from sagemaker_pipelines.links.pipeline import SageMakerPipelineExecutionLink, SageMakerStepLogLink
from sagemaker_pipelines.states import SUCCEEDED, Phase
from sagemaker_pipelines.triggers.base import TASK_IS_OVER, AwsTrigger
from sagemaker_pipelines.triggers.poller import watching
from sagemaker_pipelines.triggers.room import giving_way
from sagemaker_pipelines.triggers.step_lists import MIRROR_DELAY_SECONDS
from sagemaker_pipelines.triggers.threads import LOOK, in_thread
from sagemaker_pipelines.triggers.waits import Wait

#: The states in which the task that waits may resume the execution.
WAIT_IS_ACTIVE = frozenset({"running", "deferred", "restarting"})
# How often a mirror of a failed execution asks whether the wait resumes it, seconds.
ASK_SECONDS = (3.0, 30.0)
ROOM_SECONDS = 5.0


class SageMakerStepMirrorTrigger(AwsTrigger):
    """End a mirror as its step ends; it starts nothing, stops nothing, and never runs in a worker.

    :param step_name: the step in the definition.
    :param start_task_id: the task that pushes the execution's ARN.
    :param wait_task_id: the task that waits for the execution, and may resume it.
    :param body_steps: the steps in the body of a ForEach, whose children are counted.
    :param version: the version of these arguments, for mirrors that outlive an upgrade of this package.
    :param kwargs: the connection's arguments, see :class:`~sagemaker_pipelines.triggers.base.AwsTrigger`.
    """

    VERSION = 1
    arguments = ("step_name", "start_task_id", "wait_task_id", "body_steps", "version")

    def __init__(
        self,
        *,
        step_name: str,
        start_task_id: str,
        wait_task_id: str,
        body_steps: Sequence[str] = (),
        version: int = VERSION,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.step_name = step_name
        self.start_task_id = start_task_id
        self.wait_task_id = wait_task_id
        self.body_steps = list(body_steps)
        self.version = version

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Follow the step until it has ended for good."""
        try:
            event = await self._shown()
        except Exception:
            # Airflow would end the task in a worker, as failed.
            self.log.exception("The step cannot be shown")
            event = TaskSkippedEvent()
        yield event

    async def _shown(self) -> TriggerEvent:
        arn = await self._pulled_arn()
        if arn is None:
            self.log.info("%s has pushed no execution; nothing to show", self.start_task_id)
            return TaskSkippedEvent()
        self.log.info("Step %s of %s", self.step_name, arn)
        with giving_way() as room:
            return await self._follow(arn, room)

    async def _follow(self, arn: str, room: asyncio.Event) -> TriggerEvent:
        pauses, state = _pauses(), None
        while True:
            async with watching(
                self.connection,
                arn,
                waiter_delay=MIRROR_DELAY_SECONDS,
                make_hook=self.hook,
                step_name=self.step_name,
            ) as wait:
                event = await self._watch(wait, room)
            if event is not None:
                return event
            # The execution failed or was stopped. The steps count once they were read after the wait's end.
            if state in TASK_IS_OVER:
                return await self._ended(wait, was_accepted=state == "success")
            state = await self._next_state(pauses, room)

    async def _next_state(self, pauses: Iterator[float], room: asyncio.Event) -> str | None:
        """Return the state of the wait when it is over, or has had time to resume the execution.

        Until then AWS has no news, and its budget is for executions that go on.
        """
        while not room.is_set():
            state = await self._state_of_wait()
            if state in TASK_IS_OVER:
                return state
            with suppress(TimeoutError):
                await asyncio.wait_for(room.wait(), next(pauses))
            if state in WAIT_IS_ACTIVE:
                return state
        return None

    async def _watch(self, wait: Wait, room: asyncio.Event) -> TriggerEvent | None:
        """Return the event if the step has ended for good; None if the execution may still be resumed."""
        logged = ""
        while True:
            await wait.news(ROOM_SECONDS)
            if room.is_set():
                self.log.warning(
                    "Not shown: this triggerer has nearly as many triggers as its capacity, and what waits "
                    "for executions comes first. Clear this task later to see the step, or raise "
                    "[triggerer] capacity."
                )
                return TaskSkippedEvent()
            if wait.error is not None:
                self.log.error("The step cannot be read: %s", wait.error)
                return TaskSkippedEvent()
            while wait.lines:
                self.log.info(wait.lines.pop(0))
            step = self._find(wait.steps)
            if step is not None and (line := self._line(step, wait.steps)) != logged:
                self.log.info("%s", line)
                logged = line
            if step is not None and (step.is_taken_over or step.status == SUCCEEDED):
                return await self._ended(wait, was_accepted=True)
            if wait.has_ended and wait.steps_are_final:
                return await self._ended(wait, was_accepted=True) if wait.status == SUCCEEDED else None

    async def _ended(self, wait: Wait, *, was_accepted: bool) -> TriggerEvent:
        """Return the event for a step that does not change any more.

        :param wait: what was read last.
        :param was_accepted: whether the run goes on, although steps may have failed: the gate rejected the
            model, or the failures are tolerated.
        """
        step, hook = self._find(wait.steps), wait.hook
        if step is None or hook is None:
            self.log.info("The execution has ended without this step")
            return TaskSkippedEvent()
        kind = await self._judge(step, hook, was_accepted=was_accepted)
        return kind(xcoms=await self._xcoms(wait.pipeline_execution_arn, step, hook))

    async def _judge(
        self, step: Step, hook: SageMakerPipelineHook, *, was_accepted: bool
    ) -> Callable[..., TriggerEvent]:
        if step.is_taken_over:
            self.log.info("Not run: the result was taken over from %s", step.source)
            return TaskSkippedEvent
        if step.status == SUCCEEDED:
            return TaskSuccessEvent
        if step.phase is Phase.FAILED and step.is_fail_step and was_accepted:
            self.log.info("The gate rejected the model, so the run goes on: %s", step.reason)
            return TaskSuccessEvent
        if step.phase is Phase.STOPPED and was_accepted:
            return TaskSkippedEvent
        try:
            self.log.error("%s", await self._in_thread(lambda: failure_cause(hook.client, step)))
        except Exception as error:
            # A mirror without these lines is better than none.
            self.log.warning("The job's log cannot be read: %s", error)
        if was_accepted:
            self.log.info("The run goes on, because a failure of this step is tolerated")
        return TaskFailedEvent

    async def _xcoms(self, arn: str, step: Step, hook: SageMakerPipelineHook) -> dict[str, Any]:
        """Return the step for XCom, and its links in the form in which Airflow's UI reads them.

        Airflow makes the URLs of a task's links at its end in the worker, and a mirror has none.
        """
        links: list[tuple[BaseAwsLink, Callable[[], dict[str, Any] | None]]] = [
            (execution := SageMakerPipelineExecutionLink(), lambda: execution.values(hook, arn)),
            (log := SageMakerStepLogLink(), lambda: log.values(hook, step)),
        ]
        xcoms: dict[str, Any] = {"step": hook.masked(step.as_dict())}
        for link, read in links:
            try:
                if (values := await self._in_thread(read)) is not None:
                    xcoms[link.xcom_key] = link.format_link(**values)
            except Exception as error:
                # A mirror without a link is better than none.
                self.log.warning("A link is missing: %s", error)
        return xcoms

    def _find(self, steps: Sequence[Step]) -> Step | None:
        return next((step for step in steps if step.name == self.step_name), None)

    def _line(self, step: Step, steps: Sequence[Step]) -> str:
        if not self.body_steps:
            return str(step)
        bodies = "|".join(map(re.escape, self.body_steps))
        children = [child for child in steps if re.fullmatch(rf"(?:{bodies})-\d+", child.name)]
        done = sum(child.status == SUCCEEDED for child in children)
        return f"{step}; {done} of {len(children)} children succeeded"

    async def _pulled_arn(self) -> str | None:
        arn: str | None = await sync_to_async(self.ti.xcom_pull)(
            task_ids=self.start_task_id, map_indexes=self.ti.map_index
        )
        return arn

    async def _state_of_wait(self) -> str | None:
        """Return the state of the task that waits; None if it has none, or Airflow does not answer."""
        try:
            states = await self.task_states([self.wait_task_id], map_index=self.ti.map_index)
        except Exception as error:
            # Whatever it is, Airflow is asked again.
            self.log.warning("Airflow did not say whether the execution may be resumed: %s", error)
            return None
        return str(states[0]) if states and states[0] else None

    async def _in_thread(self, call: Any) -> Any:
        return await in_thread(call, purpose=LOOK, connection=self.connection)


def _pauses() -> Iterator[float]:
    pause, longest = ASK_SECONDS
    while True:
        yield pause
        pause = min(longest, pause * 1.5)
