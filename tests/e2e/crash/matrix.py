"""The crash matrix: the points of a start and a wait, by what is killed there."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from tests.e2e.crash.harness import SCHEDULER, TRIGGERER, Harness

POINTS = {
    "before": "before the call",
    "accepted": "accepted, not answered",
    "forgotten": "the same, token forgotten",
    "answered": "answered, before XCom",
    "waiting": "while waiting",
    "deferred": "while deferred",
}
SHAPES = {
    ("sensor_sync", "start"): "start",
    ("operator_sync", "start"): "start and wait, sync",
    ("operator_deferred", "start"): "start and wait, deferred",
    ("sensor_sync", "wait"): "sensor, sync",
    ("sensor_deferred", "wait"): "sensor, deferred",
}
_STARTS = [("sensor_sync", "start"), ("operator_sync", "start"), ("operator_deferred", "start")]
_WAITS = [("operator_sync", "start"), ("sensor_sync", "wait")]
_DEFERRED = [("operator_deferred", "start"), ("sensor_deferred", "wait")]


@dataclass(frozen=True)
class Group:
    """Cells that one kill serves: runs of several shapes that are brought to the same point.

    :param point: where they are, of POINTS.
    :param killed: what is killed: ``worker`` is the task's own process.
    :param shapes: DAG and task.
    """

    point: str
    killed: str
    shapes: Sequence[tuple[str, str]]

    @property
    def name(self) -> str:
        """How tests and make name it."""
        return f"{self.point}-{self.killed}"


GROUPS = [
    *(
        Group(p, k, _STARTS)
        for p in ("before", "accepted", "answered")
        for k in ("worker", "supervisor", "scheduler")
    ),
    Group("forgotten", "worker", _STARTS),
    *(Group("waiting", killed, _WAITS) for killed in ("worker", "supervisor", "scheduler")),
    *(Group("deferred", killed, _DEFERRED) for killed in ("triggerer", "scheduler")),
]
# Twelve cells, each point and each victim at least once.
QUICK = [
    "accepted-worker",
    "answered-supervisor",
    "waiting-scheduler",
    "deferred-triggerer",
    "waiting-worker",
]


@dataclass(frozen=True, kw_only=True)
class Result:
    """How one cell came out.

    :param group: point and victim.
    :param shape: DAG and task.
    :param executions: how many executions the run has started.
    :param state: the DAG run's state in the end; the execution that it waits for is made to succeed.
    :param left_running: executions that ran on when the DAG run had ended.
    """

    group: Group
    shape: tuple[str, str]
    executions: int
    state: str
    left_running: int

    @property
    def is_right(self) -> bool:
        """Whether it is one execution, its outcome, and nothing left."""
        return (self.executions, self.state, self.left_running) == (1, "success", 0)

    def __str__(self) -> str:
        if self.is_right:
            return "right"
        parts = [f"{self.executions} executions"] if self.executions != 1 else []
        parts += [f"run {self.state}"] if self.state != "success" else []
        parts += [f"{self.left_running} left running"] if self.left_running else []
        return ", ".join(parts)


def shapes_of(group: Group, operators: str) -> list[tuple[str, str]]:
    """Return the shapes that exist: the provider's sensor cannot be deferred."""
    return [s for s in group.shapes if operators == "ours" or s[0] != "sensor_deferred"]


def run_group(harness: Harness, group: Group) -> list[Result]:
    """Bring one run of each shape to the point, kill, let all go on, and see how they end."""
    shapes = shapes_of(group, harness.operators)
    point = "accepted" if group.point == "forgotten" else group.point
    if point == "accepted":
        harness.endpoint.add_fault("StartPipelineExecution", "drop_after", count=len(shapes))
    runs = {shape: harness.trigger(shape[0], point=point, task=shape[1]) for shape in shapes}
    for (dag_id, task_id), run_id in runs.items():
        _reach(harness, point, dag_id, run_id, task_id)
    _kill(harness, group, runs.values())
    harness.endpoint.clear_faults()
    if group.point == "forgotten":
        harness.endpoint.forget_tokens()
    for run_id in runs.values():
        harness.open_gate(run_id)
    _await_reaction(harness, group, runs)
    return [_result(harness, group, shape, run_id) for shape, run_id in runs.items()]


def _reach(harness: Harness, point: str, dag_id: str, run_id: str, task_id: str) -> None:
    if point != "deferred":
        harness.processes_at(run_id)
        return
    harness.until_deferred(dag_id, run_id, task_id)


def _kill(harness: Harness, group: Group, run_ids: Iterable[str]) -> None:
    if group.killed == "scheduler":
        harness.kill(SCHEDULER)
        harness.start(SCHEDULER)
    elif group.killed == "triggerer":
        harness.kill(TRIGGERER)
        harness.start(TRIGGERER)
    else:
        name = "task" if group.killed == "worker" else "supervisor"
        for run_id in run_ids:
            os.kill(harness.processes_at(run_id)[name], signal.SIGKILL)


def _await_reaction(harness: Harness, group: Group, runs: dict[tuple[str, str], str]) -> None:
    """Wait until Airflow has reacted to the death, with the executions still open."""
    if group.killed in ("worker", "supervisor"):
        for (dag_id, task_id), run_id in runs.items():
            harness.until(partial(_has_tried_again, harness, dag_id, run_id, task_id), f"{run_id}'s next try")
    elif group.killed == "scheduler":
        harness.until_scheduler_took_over()
    else:
        for run_id in runs.values():
            harness.until(lambda r=run_id: len(harness.watched_by(r)) > 1, "the new triggerer to watch")  # type: ignore[misc]


def _has_tried_again(harness: Harness, dag_id: str, run_id: str, task_id: str) -> bool:
    """Return whether a later try has started, found or watched an execution, or come to its end."""
    if harness.tries(run_id, task_id) < 2:
        return False
    task = harness.task(dag_id, run_id, task_id)
    if task["state"] in ("success", "failed", "deferred"):
        return True
    log = harness.api.log(dag_id, run_id, task_id, task["try_number"])
    return any(mark in log for mark in (":pipeline/", "Step Hold", "Poking"))


def _result(harness: Harness, group: Group, shape: tuple[str, str], run_id: str) -> Result:
    dag_id = shape[0]
    try:
        state = harness.end(dag_id, run_id)
    except AssertionError:
        state = "unfinished"
    if group.point != "deferred":
        # A try that was given up may live on for a while, and must not start anything either.
        harness.until_process_ended(run_id)
    statuses = harness.statuses(run_id)
    left = sum(status in ("Executing", "Stopping") for status in statuses)
    harness.clean(dag_id, run_id)
    return Result(group=group, shape=shape, executions=len(statuses), state=state, left_running=left)
