"""What a task leaves for its own next try, in Airflow's task state store.

The store survives a SIGKILL of the worker, and a user's clear too: each record says which try wrote it.
XCom would not do: it is emptied before each try. The records never expire, as a run can be cleared at any
time.
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
    """What tells a user's clear from Airflow's own retry.

    :param max_tries: a clear of a task that is not running raises it.
    :param clear_number: of the DAG run: a clear of any of its tasks raises it. A clear of a task that is
        running raises nothing else.
    """

    max_tries: int = 0
    clear_number: int = 0

    @classmethod
    def of(cls, context: Context) -> Witness:
        """Return what the running try sees."""
        return cls(
            max_tries=int(getattr(context["ti"], "max_tries", 0) or 0),
            clear_number=int(getattr(context.get("dag_run"), "clear_number", 0) or 0),
        )


def _known(kind: type[Any], stored: Any) -> dict[str, Any]:
    """Return those stored values that this version knows; a newer one may have written more."""
    names = {item.name for item in fields(kind)}
    return {name: value for name, value in stored.items() if name in names}


@dataclass(frozen=True, kw_only=True)
class _Record:
    KEY = ""

    witness: Witness = field(default_factory=Witness)

    @classmethod
    def load(cls, context: Context) -> Self | None:
        """Return what an earlier try left; None where there was none, or no store."""
        store = context.get("task_state_store")
        stored = store.get(cls.KEY) if store is not None else None
        return cls._read(stored) if isinstance(stored, dict) else None

    @classmethod
    def _read(cls, stored: dict[str, Any]) -> Self:
        values = _known(cls, stored)
        values["witness"] = Witness(**_known(Witness, stored["witness"]))
        return cls(**values)

    def save(self, context: Context, **changes: Any) -> Self:
        """Keep it, with changes, and return it as it is kept."""
        changed = replace(self, **changes)
        store = context.get("task_state_store")
        if store is not None:
            store.set(self.KEY, asdict(changed), retention=NEVER_EXPIRE)
        return changed


@dataclass(frozen=True, kw_only=True)
class StartRecord(_Record):
    """A logical start: written before the first call, sent again by every later try.

    :param generation: its random id.
    :param request: the arguments of StartPipelineExecution, without the values of secrets: Airflow's REST API
        shows what is kept.
    :param created_at: when it was written, ISO 8601; no execution of it is older.
    :param pipeline_execution_arn: its execution, once the answer was seen.
    :param ended: whether no execution of it is left to stop: set with ``succeeded``. Version 5773bd2 set it
        after every try that was not killed.
    :param succeeded: whether a try of it has succeeded.
    :param replaced: the start before a user's clear, until its execution is known to be stopped: nothing of
        this one is sent before.
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

    def left_to_stop(self) -> StartRecord | None:
        """Return what has to be stopped before a clear of this start begins another; None for nothing."""
        if self.replaced is not None or self.ended:
            return self.replaced
        names = ("PipelineName", "PipelineExecutionArn")
        return replace(self, request={name: self.request[name] for name in names if name in self.request})

    def was_cleared(self, witness: Witness, *, was_stopped: Callable[[Self], bool]) -> bool:
        """Return whether a user has cleared the task since: what follows is a new logical start.

        A changed ``max_tries`` proves it. It may stay as it was: a clear sets it to the tries so far and the
        DAG's ``retries``, which may have been lowered. A raised ``clear_number`` may come from the clear of
        another task of the run. It counts after a success, as a task that succeeded runs again only where it
        was cleared itself. It also counts where the try was killed as a clear kills it, which stops its
        execution. Where nothing proves it, the execution is kept: to stop one costs more than to resume it.

        :param witness: what the running try sees.
        :param was_stopped: returns whether the execution of a start was stopped; asked only where it decides.
        """
        if witness.max_tries != self.witness.max_tries:
            return True
        if witness.clear_number == self.witness.clear_number:
            return False
        return self.succeeded or (not self.ended and was_stopped(self))


@dataclass(frozen=True, kw_only=True)
class WaitRecord(_Record):
    """A wait for one execution.

    :param pipeline_execution_arn: the execution.
    :param seen: how the last look ended: ``watching`` where the try never saw an end, as it was killed.
    :param resumes: how often RetryPipelineExecution was, or was about to be, called.
    :param resume_token: the ClientRequestToken of the last call; empty where an earlier version wrote it.
    :param resume_delivered: whether the last call was answered.
    """

    KEY = "sagemaker_pipelines.wait"

    pipeline_execution_arn: str
    seen: Literal["watching", "failed", "stopped"] = "watching"
    resumes: int = 0
    resume_token: str = ""
    resume_delivered: bool = False

    def next_resume(self) -> Self:
        """Return the record of the next resume.

        One that may not have arrived is sent again, with its token. Any other has a token of its own. Other
        tasks resume the same execution too, and SageMaker does nothing for a token that it has seen before.
        """
        if self.resumes and not self.resume_delivered:
            return self
        token = secrets.token_hex(32)
        return replace(self, resumes=self.resumes + 1, resume_token=token, resume_delivered=False)
