"""Watch one execution: what a sensor, an operator and a trigger do at each look."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sagemaker_pipelines.aws.errors import Patience, cure_of
from sagemaker_pipelines.aws.outcome import MAX_REASON, step_seconds
from sagemaker_pipelines.exceptions import UnknownStatusError
from sagemaker_pipelines.messages import cut
from sagemaker_pipelines.states import execution_phase

if TYPE_CHECKING:
    from sagemaker_pipelines.airflow_internals import Logger
    from sagemaker_pipelines.hooks.pipeline import SageMakerPipelineHook

MIN_DELAY_SECONDS = 1.0
MAX_BACKOFF_SECONDS = 300.0


class StepLog:
    """Tell what changed between two looks at an execution's steps."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[str, int]] = {}

    def changes(self, steps: Sequence[Mapping[str, Any]]) -> list[str]:
        """Return a line for each step that began, changed its status or was attempted again.

        :param steps: the steps as ListPipelineExecutionSteps gives them.
        """
        lines = []
        for step in steps:
            now = (str(step["StepStatus"]), int(step.get("AttemptCount") or 0))
            if self._seen.get(step["StepName"]) != now:
                self._seen[step["StepName"]] = now
                lines.append(_line(step))
        return lines


class ExecutionWatch:
    """The looks at one execution until it ends; transient faults do not end them.

    :param hook: what to ask AWS with.
    :param pipeline_execution_arn: the execution.
    :param waiter_delay: the longest time between two looks, seconds; the first ones follow faster.
    :param log: where step transitions go.
    :ivar status: the status at the last look that AWS answered.
    """

    def __init__(
        self,
        hook: SageMakerPipelineHook,
        pipeline_execution_arn: str,
        *,
        waiter_delay: float,
        log: Logger,
    ) -> None:
        self.hook = hook
        self.pipeline_execution_arn = pipeline_execution_arn
        self.waiter_delay = waiter_delay
        self.log = log
        self.status: str | None = None
        self._step_log = StepLog()
        self._started = time.monotonic()
        self._faults = 0
        self._patience = Patience()

    @property
    def has_ended(self) -> bool:
        """Whether the last look saw the execution's end."""
        return self.status is not None and is_end(self.status)

    def look(self) -> str | None:
        """Return the status of an execution that has ended; None while it runs or AWS does not answer.

        A status that is not in the table counts as ended: whoever judges it fails loudly.

        :raises AccessError: see :class:`~sagemaker_pipelines.aws.errors.Patience`.
        """
        try:
            status = str(self.hook.describe_execution(self.pipeline_execution_arn)["PipelineExecutionStatus"])
            for line in self._step_log.changes(self.hook.list_steps(self.pipeline_execution_arn)):
                self.log.info(line)
        except Exception as error:
            self._patience.endure(error)
            if cure_of(error) is not None:
                self.hook.reconnect()
            self._faults += 1
            self.log.warning("AWS did not answer (fault %s in a row), asking again: %s", self._faults, error)
            return None
        self._faults = 0
        self._patience.renew()
        self.status = status
        return status if is_end(status) else None

    def delay(self) -> float:
        """Return the seconds until the next look: short at first, then at most ``waiter_delay``.

        After faults it grows, with jitter, so that a throttled account is not asked by all at once.
        """
        elapsed = time.monotonic() - self._started
        delay = min(self.waiter_delay, max(MIN_DELAY_SECONDS, elapsed / 10))
        if not self._faults:
            return delay
        backoff = min(MAX_BACKOFF_SECONDS, delay * 2.0 ** min(self._faults, 10))
        return random.uniform(delay, max(delay, backoff))  # noqa: S311 - jitter, no secret


def is_end(status: str) -> bool:
    """Return whether a status is the end of a wait; one that is not in the table is, to be judged loudly."""
    try:
        return execution_phase(status).is_terminal
    except UnknownStatusError:
        return True


def _line(step: Mapping[str, Any]) -> str:
    text = f"Step {step['StepName']}: {step['StepStatus']}"
    if (seconds := step_seconds(step)) is not None:
        text += f" after {seconds:.1f} s"
    if "CacheHitResult" in step:
        text += f" (cache hit from {step['CacheHitResult'].get('SourcePipelineExecutionArn')})"
    if int(step.get("AttemptCount") or 0) > 1:
        text += f" (attempt {step['AttemptCount']})"
    if step.get("FailureReason"):
        text += f": {cut(step['FailureReason'], MAX_REASON)}"
    return text
