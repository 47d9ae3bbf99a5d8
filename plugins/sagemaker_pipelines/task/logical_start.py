"""The logical start: it identifies the start, and the task, that a request to SageMaker belongs to."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from sagemaker_pipelines.data.intervals import is_interval_driven, run_interval
from sagemaker_pipelines.exceptions import IntervalError
from sagemaker_pipelines.task.airflow_id import airflow_id

if TYPE_CHECKING:
    from airflow.sdk import Context

# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StartPipelineExecution.html
MAX_DISPLAY_NAME = 82
# What may follow is for people, and for later versions of this package. It may be any text, so only the
# first ids count.
_DESCRIPTION = re.compile(
    r"Airflow dag_id=(?P<dag_id>[\w.-]+) run_id=(?P<run_id>.+?) task_id=(?P<task_id>[\w.-]+) "
    r"map_index=(?P<map_index>-?\d+) generation=(?P<generation>[0-9a-f]{32})"
    r"(?: deployment=(?P<airflow_id>[\w-]+))?(?: .*)?",
    re.DOTALL,
)


@dataclass(frozen=True, kw_only=True)
class LogicalStart:
    """One intended start of one task.

    :param dag_id: the DAG.
    :param run_id: the DAG run.
    :param task_id: the task.
    :param map_index: the index of a mapped task, otherwise -1.
    :param generation: a random id. Automatic retries keep it; a user's clear creates a new one. It
        distinguishes two Airflows in one account, a reset database, and a run that was created again.
    :param airflow_id: the id of the Airflow that starts it, for the orphan sweep; None if it is not known.
    :param interval: the data interval of the run, ISO 8601; None if the run has none.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    generation: str
    airflow_id: str | None = field(default=None, compare=False)
    interval: str | None = field(default=None, compare=False)

    @classmethod
    def new(cls, context: Context) -> LogicalStart:
        """Return a new logical start of the running task."""
        ti = context["ti"]
        return cls(
            dag_id=ti.dag_id,
            run_id=ti.run_id,
            task_id=ti.task_id,
            map_index=-1 if ti.map_index is None else ti.map_index,
            generation=secrets.token_hex(16),
            airflow_id=airflow_id(context),
            interval=_interval(context),
        )

    @classmethod
    def parse(cls, description: str | None) -> Self | None:
        """Return the start that an execution's description names; None if it does not name one.

        :param description: the PipelineExecutionDescription, see :attr:`description`.
        """
        match = _DESCRIPTION.fullmatch(description or "")
        if match is None:
            return None
        values: dict[str, Any] = {**match.groupdict(), "map_index": int(match["map_index"])}
        return cls(**values)

    @property
    def token(self) -> str:
        """The ClientRequestToken: the same for every attempt of this start, different for any other start."""
        parts = (self.dag_id, self.run_id, self.task_id, str(self.map_index), self.generation)
        # Lengths keep ("a", "bc") and ("ab", "c") apart.
        text = "".join(f"{len(part)}:{part}" for part in parts)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def description(self) -> str:
        """The PipelineExecutionDescription: it shows in SageMaker which task started the execution."""
        text = (
            f"Airflow dag_id={self.dag_id} run_id={self.run_id} task_id={self.task_id} "
            f"map_index={self.map_index} generation={self.generation}"
        )
        # Earlier versions gave the id this name.
        for name, value in (("deployment", self.airflow_id), ("interval", self.interval)):
            if value is not None:
                text += f" {name}={value}"
        return text

    @property
    def display_name(self) -> str:
        """The PipelineExecutionDisplayName: the run's kind and interval, or the run's id without one."""
        if self.interval is None:
            return display_name_of(self.run_id)
        kind = self.run_id.partition("__")[0]
        return display_name_of(f"{kind} {self.interval.replace('/', ' to ')}")


def _interval(context: Context) -> str | None:
    if getattr(context.get("dag_run"), "run_type", None) is None:
        return None
    try:
        return str(run_interval(context)) if is_interval_driven(context) else None
    except IntervalError:
        # The start does not depend on it; a task that does has already failed with this error.
        return None


def display_name_of(run_id: str) -> str:
    """Return a valid PipelineExecutionDisplayName for a run: 1 to 82 characters of ``[a-zA-Z0-9-]``.

    :param run_id: the DAG run's id, which may be any text.
    """
    name = re.sub(r"[^a-zA-Z0-9]+", "-", run_id).strip("-")
    if name and len(name) <= MAX_DISPLAY_NAME:
        return name
    digest = hashlib.sha256(run_id.encode()).hexdigest()[:8]
    head = name[: MAX_DISPLAY_NAME - len(digest) - 1].rstrip("-")
    return f"{head}-{digest}" if head else f"run-{digest}"
