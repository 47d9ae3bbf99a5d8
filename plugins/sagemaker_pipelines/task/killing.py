"""Stop an execution when Airflow kills the task that starts it or waits for it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowException
from botocore.exceptions import BotoCoreError, ClientError

from sagemaker_pipelines.aws.errors import is_transient
from sagemaker_pipelines.aws.stopping import stop_execution
from sagemaker_pipelines.hooks.pipeline import SageMakerPipelineHook

if TYPE_CHECKING:
    from sagemaker_pipelines.airflow_internals import Logger

# Airflow kills the process about 5 s after on_kill was called.
KILL_SECONDS = 4.0
KILL_RETRY_SECONDS = 0.3


class KillMixin:
    """Define what a task in a worker does when it is killed.

    It is mixed into operators, which already have ``hook`` and ``stop_on_kill``.
    """

    if TYPE_CHECKING:

        @property
        def log(self) -> Logger: ...

        stop_on_kill: bool

    _kill_client: Any = None
    _watched_arn: str | None = None
    _was_killed = False
    _has_handed_over = False

    @property
    def pipeline_hook(self) -> SageMakerPipelineHook:
        """The operator's hook, with its actual type."""
        hook: SageMakerPipelineHook = self.hook  # type: ignore[attr-defined]
        return hook

    def prepare_kill(self) -> None:
        """Create the client of :meth:`on_kill`, which runs in a signal handler and cannot ask Airflow."""
        if self.stop_on_kill and self._kill_client is None:
            self._kill_client = self.pipeline_hook.kill_client()

    def on_kill(self) -> None:
        """Stop the execution; called by Airflow when the task is failed, cleared or evicted."""
        self._was_killed = True
        if self._kill_client is None or self._has_handed_over:
            return
        deadline = time.monotonic() + KILL_SECONDS
        while True:
            try:
                arn = self.find_when_killed()
                break
            except (ClientError, BotoCoreError) as error:
                if not is_transient(error) or time.monotonic() + KILL_RETRY_SECONDS >= deadline:
                    self.log.error(  # noqa: TRY400 - expected
                        "Cannot find out whether an execution was started: %s. If one is still running, the "
                        "orphan sweep reports it; stop it in SageMaker.",
                        error,
                    )
                    return
            time.sleep(KILL_RETRY_SECONDS)
        if arn is not None:
            stop_execution(self._kill_client, arn, seconds=deadline - time.monotonic(), log=self.log)

    def find_when_killed(self) -> str | None:
        """Return the ARN of the execution that a kill stops; None if there is nothing to stop."""
        return self._watched_arn

    def hand_over(self) -> None:
        """Leave the execution to the task or the trigger that watches it next; a kill stops it no more.

        Airflow also kills a process that goes on for too long after its success or its deferral, as it does
        while the API server does not answer. A success that Airflow has not heard of is found by the retry.

        :raises AirflowException: Airflow has killed this attempt before.
        """
        # First, so that a kill that comes between these lines is either too late or seen here.
        self._has_handed_over = True
        if self._was_killed:
            self._has_handed_over = False
            self.end_if_killed()

    def end_if_killed(self) -> None:
        """Raise if :meth:`on_kill` was called, and stop what it could not know about yet.

        After on_kill the code continues for the seconds until Airflow ends the process. It must not start or
        resume an execution then.
        """
        if self._was_killed:
            self.on_kill()
            raise AirflowException("Airflow has killed this attempt, so it starts and resumes nothing more.")
