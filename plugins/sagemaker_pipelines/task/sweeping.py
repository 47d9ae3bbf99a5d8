"""Judge for the orphan sweep which Airflow an execution belongs to, and whether a task still watches it."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sagemaker_pipelines.task.logical_start import LogicalStart
from sagemaker_pipelines.task.waiting import XCOM_EXECUTION_ARN

if TYPE_CHECKING:
    from sagemaker_pipelines.airflow_internals import RuntimeTaskInstanceProtocol

_FINISHED = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})
_ACTIVE_RUN = ["queued", "running"]
_WATCHING = frozenset({"running", "deferred"})


class Finding(StrEnum):
    """The verdict of the sweep on an execution."""

    ORPHAN = "orphan"
    WATCHED = "watched"
    FOREIGN = "foreign"


class RunState(StrEnum):
    """What this Airflow knows about a DAG run."""

    ACTIVE = "active"
    ENDED = "ended"
    UNKNOWN = "unknown"


class AirflowRuns:
    """The DAG runs of this Airflow, as seen from a worker through its running task.

    :param ti: the running task instance.
    """

    def __init__(self, ti: RuntimeTaskInstanceProtocol) -> None:
        self._ti: Any = ti

    def state(self, start: LogicalStart) -> RunState:
        """Return what is known about the start's DAG run."""
        run = {"dag_id": start.dag_id, "run_ids": [start.run_id]}
        if not self._ti.get_dr_count(**run):
            return RunState.UNKNOWN
        return RunState.ACTIVE if self._ti.get_dr_count(**run, states=_ACTIVE_RUN) else RunState.ENDED

    def task_states(self, start: LogicalStart) -> dict[str, str | None]:
        """Return the states of the run's tasks; a mapped task is named by its id, ``_`` and its map index."""
        states = self._ti.get_task_states(dag_id=start.dag_id, run_ids=[start.run_id])
        return dict(states.get(start.run_id, {}))

    def executions_of(self, start: LogicalStart, task: str, map_index: int = -1) -> set[str]:
        """Return the executions that a task of the run started or watches, according to its XCom.

        :param task: its task id, or its name as :meth:`task_states` has it.
        """
        found = self._pull(start, task, map_index)
        if not found and map_index < 0 and (mapped := re.fullmatch(r"(.+)_(\d+)", task)):
            found = self._pull(start, mapped[1], int(mapped[2]))
        return found

    def is_watched(self, start: LogicalStart, pipeline_execution_arn: str) -> bool:
        """Return whether a task of the start's run watches an execution now, according to its XCom."""
        return any(
            state in _WATCHING and pipeline_execution_arn in self.executions_of(start, task)
            for task, state in self.task_states(start).items()
        )

    def _pull(self, start: LogicalStart, task_id: str, map_index: int) -> set[str]:
        one = {"map_indexes": map_index} if map_index >= 0 else {}
        value = self._ti.xcom_pull(
            task_ids=task_id, dag_id=start.dag_id, run_id=start.run_id, key=XCOM_EXECUTION_ARN, **one
        )
        values = value if isinstance(value, list | tuple) else [value]
        return {item for item in values if isinstance(item, str)}


class Judge:
    """Judge one execution after the other.

    :param runs: this Airflow's runs.
    :param airflow_id: this Airflow's id; None if it is not known.
    :param adopted: ARNs and generations that the user has named; their owner is not checked.
    """

    def __init__(self, runs: AirflowRuns, *, airflow_id: str | None, adopted: Collection[str] = ()) -> None:
        self._runs = runs
        self._airflow_id = airflow_id
        self._adopted = frozenset(adopted)

    def judge(self, pipeline_execution_arn: str, start: LogicalStart) -> tuple[Finding, str]:
        """Return the finding and its reason.

        :param start: the start that the execution's description names.
        """
        if not self.is_ours(pipeline_execution_arn, start):
            return Finding.FOREIGN, self._why_foreign(start)
        reason = self._why_unwatched(pipeline_execution_arn, start)
        return (Finding.WATCHED, "") if reason is None else (Finding.ORPHAN, reason)

    def is_ours(self, pipeline_execution_arn: str, start: LogicalStart) -> bool:
        """Return whether this Airflow provably started it, or the user has named it."""
        if self.is_adopted(pipeline_execution_arn, start):
            return True
        if start.airflow_id is not None and start.airflow_id == self._airflow_id:
            return True
        # Starts of earlier versions carry no id, but the start's own XCom is proof as well.
        return pipeline_execution_arn in self._runs.executions_of(start, start.task_id, start.map_index)

    def is_adopted(self, pipeline_execution_arn: str, start: LogicalStart | None) -> bool:
        """Return whether the user has named it."""
        named = {pipeline_execution_arn} | ({start.generation} if start else set())
        return not named.isdisjoint(self._adopted)

    def is_needed(self, start: LogicalStart) -> bool:
        """Return whether a run may still resume what the start has begun."""
        return self._runs.state(start) is RunState.ACTIVE

    def _why_foreign(self, start: LogicalStart) -> str:
        if start.airflow_id is None:
            return (
                "no proof that this Airflow started it: it names no Airflow, and no XCom of its task names it"
            )
        return f"started by the Airflow with the id {start.airflow_id}"

    def _why_unwatched(self, arn: str, start: LogicalStart) -> str | None:
        """Return why nothing watches it; None if something does, or still may."""
        state = self._runs.state(start)
        if state is RunState.UNKNOWN:
            return "its DAG run does not exist (any longer)"
        if state is RunState.ENDED:
            return "its DAG run has ended"
        tasks = self._runs.task_states(start)
        own = start.task_id if start.map_index < 0 else f"{start.task_id}_{start.map_index}"
        if own in tasks and _is_unfinished(tasks[own]):
            return None
        current = self._runs.executions_of(start, start.task_id, start.map_index)
        if current and arn not in current:
            return f"task {own} has since started {', '.join(sorted(current))}"
        return self._why_unwaited(arn, start, {name: tasks[name] for name in tasks if name != own})

    def _why_unwaited(self, arn: str, start: LogicalStart, tasks: Mapping[str, str | None]) -> str | None:
        waits = {name: state for name, state in tasks.items() if arn in self._runs.executions_of(start, name)}
        # A wait names its execution only when it begins, so any task that has not run yet may be the wait.
        if any(_is_unfinished(state) for state in (waits or tasks).values()):
            return None
        if waits:
            return "; ".join(f"its wait {name} has ended as {state}" for name, state in waits.items())
        return "its DAG run has no task left that could watch it"


def _is_unfinished(state: str | None) -> bool:
    return state not in _FINISHED


@dataclass(frozen=True, kw_only=True)
class SweptExecution:
    """One execution that a sweep reports.

    :param pipeline_execution_arn: the execution.
    :param status: its PipelineExecutionStatus when it was seen.
    :param started_at: ISO 8601.
    :param reason: why nothing watches it, or why it does not count as started by this Airflow.
    :param start: the task that started it, as its description says; None if only the user named it.
    :param stopped: whether the sweep has stopped it.
    """

    pipeline_execution_arn: str
    status: str
    started_at: str
    reason: str
    start: dict[str, Any] | None = None
    stopped: bool = False


@dataclass(frozen=True, kw_only=True)
class SweptModel:
    """One Model resource that a sweep reports.

    :param model_name: its name.
    :param model_arn: its ARN.
    :param created_at: ISO 8601.
    :param pipeline_execution_arn: the execution that created it.
    :param deleted: whether the sweep has deleted it.
    """

    model_name: str
    model_arn: str
    created_at: str
    pipeline_execution_arn: str
    deleted: bool = False


@dataclass(frozen=True, kw_only=True)
class SweptFunction:
    """A Lambda function that an upsert deployed, and that no pipeline of the environment calls any more.

    :param function_name: its name.
    :param function_arn: its ARN.
    :param modified_at: when it was last changed, ISO 8601.
    """

    function_name: str
    function_arn: str
    modified_at: str


@dataclass(kw_only=True)
class SweepReport:
    """What a sweep has found.

    :ivar orphans: executions of this Airflow that nothing watches.
    :ivar foreign: executions that look like ours, with no proof that this Airflow started them.
    :ivar models: models that executions of this Airflow left behind.
    :ivar functions: Lambda functions of the environment that no pipeline calls.
    :ivar watched: number of executions that a task watches.
    :ivar young: number of executions below the minimum age.
    :ivar others: number of running executions that this package did not start.
    :ivar problems: what could not be stopped, deleted or checked, and why.
    """

    orphans: list[SweptExecution] = field(default_factory=list)
    foreign: list[SweptExecution] = field(default_factory=list)
    models: list[SweptModel] = field(default_factory=list)
    functions: list[SweptFunction] = field(default_factory=list)
    watched: int = 0
    young: int = 0
    others: int = 0
    problems: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON types, for XCom."""
        return asdict(self)

    def as_text(self) -> str:
        """Return it as a table, for the log and for notifications."""
        counts = {
            "orphaned executions": len(self.orphans),
            "models left": len(self.models),
            "watched": self.watched,
            "too young to judge": self.young,
            "of other Airflows": len(self.foreign),
            "not started by Airflow": self.others,
        }
        lines = [", ".join(f"{count} {what}" for what, count in counts.items())]
        for kind, items in (("orphan", self.orphans), ("foreign", self.foreign)):
            for item in items:
                what = "stopped" if item.stopped else kind
                lines.append(
                    f"  {what:8} {item.status:10} {item.started_at}  {item.pipeline_execution_arn}\n"
                    f"           {_where(item.start)}: {item.reason}"
                )
        for model in self.models:
            what = "deleted" if model.deleted else "model"
            lines.append(
                f"  {what:8} {model.created_at}  {model.model_name}\n"
                f"           of {model.pipeline_execution_arn}"
            )
        lines.extend(
            f"  function {function.modified_at}  {function.function_name}\n"
            "           no pipeline calls it: delete it with `aws lambda delete-function`"
            for function in self.functions
        )
        return "\n".join([*lines, *(f"  problem  {problem}" for problem in self.problems)])


def _where(start: Mapping[str, Any] | None) -> str:
    return f"{start['dag_id']} / {start['run_id']} / {start['task_id']}" if start else "named by the user"
