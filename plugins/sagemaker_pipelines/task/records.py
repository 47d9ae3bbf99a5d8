"""What a task leaves for its own next attempt, in Airflow's task state store.

The store survives a SIGKILL of the worker, and also a user's clear: each record says which attempt wrote it.
XCom does not work for this, because Airflow empties it before each attempt. The records never expire, since
a run can be cleared at any time.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, Self

from sagemaker_pipelines.airflow_internals import NEVER_EXPIRE

if TYPE_CHECKING:
    from airflow.sdk import Context


@dataclass(frozen=True, kw_only=True)
class Witness:
    """The counters that distinguish a user's clear from Airflow's own retry.

    :param max_tries: it rises when a task that is not running is cleared.
    :param clear_number: the DAG run's; it rises when any of the run's tasks is cleared. If the task is
        running when it is cleared, nothing else changes.
    """

    max_tries: int = 0
    clear_number: int = 0

    @classmethod
    def of(cls, context: Context) -> Witness:
        """Return the counters that the running attempt sees."""
        return cls(
            max_tries=int(getattr(context.get("ti"), "max_tries", 0) or 0),
            clear_number=int(getattr(context.get("dag_run"), "clear_number", 0) or 0),
        )


def _known(kind: type[Any], stored: Any) -> dict[str, Any]:
    """Return the stored values that this version knows; a newer one may have written more."""
    names = {item.name for item in fields(kind)}
    return {name: value for name, value in stored.items() if name in names}


@dataclass(frozen=True, kw_only=True)
class _Record:
    KEY = ""

    witness: Witness = field(default_factory=Witness)

    @classmethod
    def load(cls, context: Context) -> Self | None:
        """Return what an earlier attempt left; None if there was none, or there is no store."""
        store = context.get("task_state_store")
        stored = store.get(cls.KEY) if store is not None else None
        return cls._read(stored) if isinstance(stored, dict) else None

    @classmethod
    def _read(cls, stored: dict[str, Any]) -> Self:
        values = _known(cls, stored)
        values["witness"] = Witness(**_known(Witness, stored["witness"]))
        return cls(**values)

    def save(self, context: Context, **changes: Any) -> Self:
        """Store the record with some changes, and return the changed record."""
        changed = replace(self, **changes)
        store = context.get("task_state_store")
        if store is not None:
            store.set(self.KEY, asdict(changed), retention=NEVER_EXPIRE)
        return changed


@dataclass(frozen=True, kw_only=True)
class StartRecord(_Record):
    """A logical start: written before the first call, and sent again by every later attempt.

    :param generation: its random id.
    :param request: the arguments of StartPipelineExecution, without the values of secrets, because Airflow's
        REST API shows what is stored.
    :param created_at: when it was written, ISO 8601; none of its executions is older.
    :param pipeline_execution_arn: its execution, once SageMaker has answered.
    :param ended: whether its execution has ended or was handed on to another task, which then stops it; set
        together with ``succeeded``. Version 5773bd2 set it after every attempt that was not killed.
    :param succeeded: whether one of its attempts has succeeded.
    :param replaced: the start before a user's clear, until its execution is known to be stopped. Until then,
        nothing is sent for this start.
    """

    KEY = "sagemaker_pipelines.start"

    generation: str
    request: dict[str, Any]
    created_at: str = field(default_factory=lambda: datetime.now(UTC).isoformat())
    pipeline_execution_arn: str | None = None
    ended: bool = False
    succeeded: bool = False
    replaced: StartRecord | None = None

    @classmethod
    def _read(cls, stored: dict[str, Any]) -> Self:
        record = super()._read(stored)
        replaced = stored.get("replaced")
        return replace(record, replaced=cls._read(replaced)) if replaced else record

    def resumes(self, request: dict[str, Any]) -> bool:
        """Return whether this start and another one's request resume the same execution."""
        arn = request.get("PipelineExecutionArn")
        return arn is not None and arn == self.request.get("PipelineExecutionArn")

    def left_to_stop(self, *, is_unwatched: Callable[[str], bool]) -> StartRecord | None:
        """Return what has to be stopped before a clear begins another start; None if there is nothing.

        :param is_unwatched: returns whether an execution is running and no task watches it; called only if
            that decides.
        """
        if self.replaced is not None:
            return self.replaced
        if self.ended and not self._is_left_unwatched(is_unwatched):
            return None
        names = ("PipelineName", "PipelineExecutionArn")
        return replace(self, request={name: self.request[name] for name in names if name in self.request})

    def was_cleared(
        self,
        witness: Witness,
        *,
        was_stopped: Callable[[Self], bool],
        is_unwatched: Callable[[str], bool],
    ) -> bool:
        """Return whether a user has cleared the task since then, so that a new logical start follows.

        A changed ``max_tries`` proves it, but a clear may leave it unchanged: Airflow sets it to the number
        of attempts so far plus the DAG's ``retries``, which may have been lowered. A higher ``clear_number``
        may come from clearing another task of the run. It counts after a success, because a task that
        succeeded only runs again if it was cleared itself; but Airflow may not have heard of the success of
        a start whose execution is running and unwatched. It also counts if the attempt was killed as a clear
        kills it, which stops its execution. Without proof the execution is kept, because stopping one by
        mistake costs more than resuming it.

        :param witness: the counters that the running attempt sees.
        :param was_stopped: returns whether the execution of a start was stopped; called only if that decides.
        :param is_unwatched: see :meth:`left_to_stop`.
        """
        if witness.max_tries != self.witness.max_tries:
            return True
        if witness.clear_number == self.witness.clear_number:
            return False
        if self.succeeded:
            return not self._is_left_unwatched(is_unwatched)
        return not self.ended and was_stopped(self)

    def _is_left_unwatched(self, is_unwatched: Callable[[str], bool]) -> bool:
        return self.pipeline_execution_arn is not None and is_unwatched(self.pipeline_execution_arn)


@dataclass(frozen=True, kw_only=True)
class WaitRecord(_Record):
    """A wait for one execution.

    :param pipeline_execution_arn: the execution.
    :param seen: what the last attempt saw: ``watching`` if it was killed and never saw an end.
    :param resumes: how often RetryPipelineExecution was called or was about to be called.
    :param resume_token: the ClientRequestToken of the last call; empty if an earlier version wrote it.
    :param resume_delivered: whether the last call was answered.
    :param reported_instance_seconds: what earlier attempts have added to the measure of instance-seconds.
    :param earlier: by step and job, what the jobs before the last resume had billed, instance-seconds;
        SageMaker no longer names those of the steps that did not succeed.
    """

    KEY = "sagemaker_pipelines.wait"

    pipeline_execution_arn: str
    seen: Literal["watching", "failed", "stopped"] = "watching"
    resumes: int = 0
    resume_token: str = ""
    resume_delivered: bool = False
    reported_instance_seconds: int = 0
    earlier: dict[str, dict[str, float]] = field(default_factory=dict)

    def next_resume(self) -> Self:
        """Return the record of the next resume.

        A call that may not have arrived is sent again with the same token. Every other call gets a new token,
        because other tasks may resume the same execution, and SageMaker ignores a token that it has seen.
        """
        if self.resumes and not self.resume_delivered:
            return self
        token = secrets.token_hex(32)
        return replace(self, resumes=self.resumes + 1, resume_token=token, resume_delivered=False)


@dataclass(frozen=True, kw_only=True)
class ApprovalRecord(_Record):
    """A question to a person about a model package, and its answer.

    Airflow asks again in every attempt, and forgets the answer when an attempt fails. The answer is therefore
    stored here before it is written to the registry, and a later attempt writes it without asking again.

    :param fingerprint: which evidence the question is about.
    :param champion_arn: the champion when it was asked; None if there was none.
    :param decision_id: the id of the decision.
    :param approved: the answer; None as long as there is none.
    :param decided_by: who answered.
    :param decided_at: when, ISO 8601.
    :param reason: why, as they wrote it.
    :param recorded: whether the registry has it; whoever then sets the package back to pending asks anew.
    """

    KEY = "sagemaker_pipelines.approval"

    fingerprint: str
    champion_arn: str | None
    decision_id: str
    approved: bool | None = None
    decided_by: str = ""
    decided_at: str = ""
    reason: str = ""
    recorded: bool = False

    def answers(self, fingerprint: str, *, recorded_id: str | None) -> bool:
        """Return whether the question about this evidence has an answer that is still to be recorded.

        :param fingerprint: the evidence.
        :param recorded_id: the id of the last decision in the registry, which tells after a crash just before
            ``recorded`` was stored.
        """
        is_recorded = self.recorded or self.decision_id == recorded_id
        return self.approved is not None and not is_recorded and self.fingerprint == fingerprint


@dataclass(frozen=True, kw_only=True)
class PromotionRecord(_Record):
    """What a promotion has chosen, so that its retry does not promote a newer model.

    :param model_package_arn: the package in the source; None if the definition registers none.
    """

    KEY = "sagemaker_pipelines.promotion"

    model_package_arn: str | None
