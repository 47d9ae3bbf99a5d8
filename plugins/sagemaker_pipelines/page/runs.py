"""The DAG runs that the page shows, with the records of their executions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any

from sagemaker_pipelines.airflow_internals import newest_runs, xcom_times, xcom_values
from sagemaker_pipelines.links.pipeline import (
    SageMakerFailedStepLogLink,
    SageMakerPipelineExecutionLink,
    SageMakerStepLogLink,
)
from sagemaker_pipelines.operators.evaluation import GATE_KEYS, pushed_gate

#: At most this many runs in one answer.
MAX_RUNS = 100
# What versions of this package before the record pushed: the sum alone.
_BILLED = "billable_seconds"
_EXECUTION = "execution"
#: The XComs by which a DAG is known to run pipelines.
PIPELINE_KEYS = frozenset({_EXECUTION, _BILLED})
_STEP = "step"
# Airflow has pushed the URLs of a task's links under these keys; an empty one is no link.
_STEP_LOG = SageMakerStepLogLink().xcom_key
_LINKS = {
    "execution": SageMakerPipelineExecutionLink().xcom_key,
    "cause": SageMakerFailedStepLogLink().xcom_key,
}
_KEYS = frozenset({_EXECUTION, _BILLED, *GATE_KEYS, *_LINKS.values()})
_RUN_MEMBERS = ("dag_id", "run_id", "state", "run_type", "backfill_id", "partition_key")
_RUN_TIMES = (
    "logical_date",
    "data_interval_start",
    "data_interval_end",
    "run_after",
    "queued_at",
    "start_date",
    "end_date",
)


class PipelineRuns:
    """Some runs of a DAG, the newest first.

    :param dag_id: the DAG.
    :param run_id: only this run, then with the steps that its mirrors have seen; None means all.
    :param offset: how many of the newest to leave out.
    :param limit: how many to read at most.
    """

    def __init__(self, dag_id: str, *, run_id: str | None = None, offset: int = 0, limit: int) -> None:
        found = newest_runs(dag_id, run_id=run_id, offset=offset, limit=limit + 1)
        self.more = len(found) > limit
        self._runs = found[:limit]
        self._ids = [run.id for run in self._runs]
        self._keys = _KEYS if run_id is None else _KEYS | {_STEP, _STEP_LOG}

    def etag(self) -> str:
        """Return a text that changes whenever the answer does, without reading any record."""
        seen: list[Any] = [(run.id, run.state, run.clear_number, run.end_date) for run in self._runs]
        seen += [tuple(row) for row in xcom_times(self._ids, self._keys)]
        digest = hashlib.sha256(json.dumps([self.more, *seen], default=str).encode())
        return f'"{digest.hexdigest()[:32]}"'

    def as_dict(self) -> dict[str, Any]:
        """Return the answer: ``runs``, each with its ``executions``, and whether there are ``more``."""
        rows = xcom_values(self._ids, self._keys)
        pushed = {key: list(group) for key, group in groupby(rows, lambda row: row.dag_run_id)}
        runs = [{**_run(run), "executions": executions(pushed.get(run.id, ()))} for run in self._runs]
        return {"runs": runs, "more": self.more}


def executions(rows: Iterable[Any]) -> list[dict[str, Any]]:
    """Return the executions of one run, each with its ``task_id``, ``map_index`` and the members below.

    ``execution`` and ``gate`` are what the tasks pushed; ``links`` has the URLs of the ``execution``, of the
    log of the ``cause``, and of the logs of the ``steps`` by name, as far as there are any.

    A DAG may have several pipelines, each in a task group of its own: a gate belongs to the execution that it
    names, and that of an older version to the execution in its group.

    :param rows: the run's XComs, as rows with ``task_id``, ``map_index``, ``key`` and ``value``, by task.
    """
    found: list[dict[str, Any]] = []
    gates: list[tuple[str, Mapping[str, Any]]] = []
    steps: dict[str, list[Any]] = {}
    logs: dict[str, dict[str, str]] = {}
    for (task_id, map_index), group in groupby(rows, lambda row: (row.task_id, row.map_index)):
        values = {row.key: _decoded(row.value) for row in group}
        if gate := pushed_gate(values):
            gates.append((task_id, gate))
        if isinstance(step := values.get(_STEP), dict):
            pipeline = _group(_group(task_id))
            steps.setdefault(pipeline, []).append(step)
            if url := values.get(_STEP_LOG):
                logs.setdefault(pipeline, {})[step["name"]] = url
        if (record := _record(values)) is not None:
            links = {name: url for name, key in _LINKS.items() if (url := values.get(key))}
            found.append(_execution(task_id, record, map_index=map_index, links=links))
    for task_id, gate in gates:
        _attach(found, task_id, gate)
    # Without a record, the wait's id is unknown, and only its group counts.
    found = found or [_execution(f"{name}." if name else "", {"steps": seen}) for name, seen in steps.items()]
    for each in found:
        each["links"]["steps"] = logs.get(_group(each["task_id"]), {})
    return found


def _execution(task_id: str, record: Mapping[str, Any], **members: Any) -> dict[str, Any]:
    return {"task_id": task_id, "map_index": -1, "execution": record, "gate": None, "links": {}, **members}


def _record(values: Mapping[str, Any]) -> dict[str, Any] | None:
    if isinstance(record := values.get(_EXECUTION), dict):
        return record
    if _EXECUTION in values:
        # A custom XCom backend keeps it elsewhere, and only workers read it.
        return {"stored_elsewhere": True}
    return {"instance_seconds": values[_BILLED]} if _BILLED in values else None


def _attach(found: list[dict[str, Any]], task_id: str, gate: Mapping[str, Any]) -> None:
    """Give a gate to its execution; one without any is an execution of which nothing else is known."""
    arn = gate.get("pipeline_execution_arn")
    for each in found:
        same = each["execution"].get("pipeline_execution_arn") == arn if arn else False
        if same or (not arn and _group(each["task_id"]) == _group(task_id) and each["gate"] is None):
            each["gate"] = gate
            return
    found.append(_execution(task_id, {}, gate=gate))


def _group(task_id: str) -> str:
    return task_id.rpartition(".")[0]


def _decoded(value: Any) -> Any:
    """Return a stored value; tasks store JSON as a text within JSON."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _run(run: Any) -> dict[str, Any]:
    times = {name: moment.isoformat() if (moment := getattr(run, name)) else None for name in _RUN_TIMES}
    return {**{name: getattr(run, name) for name in _RUN_MEMBERS}, **times}
