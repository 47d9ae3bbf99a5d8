"""Watch one execution by polling it; used by the operators, the sensor and the shell command."""

from __future__ import annotations

import time
from collections.abc import Callable

from sagemaker_pipelines.aws.account import Logger
from sagemaker_pipelines.aws.client import SageMakerClient
from sagemaker_pipelines.aws.errors import cure_of
from sagemaker_pipelines.aws.pacing import Patience, backoff, delay_after
from sagemaker_pipelines.aws.steps import Step, StepLog
from sagemaker_pipelines.states import is_end


class ExecutionWatch:
    """Polls one execution until it ends; transient errors do not end the watch.

    :param client: calls AWS.
    :param pipeline_execution_arn: the execution.
    :param waiter_delay: the longest time between two polls, seconds; the first polls come faster.
    :param log: the log for errors, and for steps that have changed.
    :param on_steps: called with all steps at each poll, instead of logging the steps that have changed.
    :ivar status: the status at the last poll that AWS answered.
    :ivar steps: the steps at that poll.
    """

    def __init__(
        self,
        client: SageMakerClient,
        pipeline_execution_arn: str,
        *,
        waiter_delay: float,
        log: Logger,
        on_steps: Callable[[list[Step]], None] | None = None,
    ) -> None:
        self.client = client
        self.pipeline_execution_arn = pipeline_execution_arn
        self.waiter_delay = waiter_delay
        self.log = log
        self.status: str | None = None
        self.steps: list[Step] = []
        self._step_log = StepLog()
        self._on_steps = on_steps or self._log_changes
        self._started = time.monotonic()
        self._faults = 0
        self._patience = Patience()

    @property
    def has_ended(self) -> bool:
        """Whether the execution had ended at the last poll."""
        return self.status is not None and is_end(self.status)

    def look(self) -> str | None:
        """Return the status of an execution that has ended; None while it runs or AWS does not answer.

        A status that is not in the table counts as an end, so that judging it fails loudly.

        :raises AccessError: see :class:`~sagemaker_pipelines.aws.pacing.Patience`.
        """
        try:
            status = self.client.execution_status(self.pipeline_execution_arn)
            self.steps = self.client.list_steps(self.pipeline_execution_arn)
            self._on_steps(self.steps)
        except Exception as error:
            # The patience raises what does not pass by itself.
            self._patience.endure(error)
            if cure_of(error) is not None:
                self.client.reconnect()
            self._faults += 1
            self.log.warning("AWS did not answer (error %s in a row), polling again: %s", self._faults, error)
            return None
        self._faults = 0
        self._patience.renew()
        self.status = status
        return status if is_end(status) else None

    def follow(self) -> str:
        """Poll until the execution has ended, and return its status."""
        while (status := self.look()) is None:
            time.sleep(self.delay())
        return status

    def _log_changes(self, steps: list[Step]) -> None:
        for step in self._step_log.changes(steps):
            self.log.info("%s", step)

    def delay(self) -> float:
        """Return the seconds until the next poll: few at first, later at most ``waiter_delay``.

        The delay grows after errors, with jitter, so that not all waits poll a throttled account at once.
        """
        delay = delay_after(time.monotonic() - self._started, self.waiter_delay)
        return backoff(delay, self._faults) if self._faults else delay
