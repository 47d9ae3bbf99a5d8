"""A real Airflow with a test's own DAG files, whose questions are answered through its REST API."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sagemaker_local_runtime.images.ports import free_port
from sagemaker_pipelines.airflow_client import AirflowClient
from stack.lifecycle import Stack
from stack.settings import ROOT, StackSettings
from tests.e2e.project.conftest import Airflow, Run
from tests.waiting import PATIENT, patiently, until

EXAMPLES = ROOT / "docs" / "examples"
APPROVE = "approve_model"
# What the scheduler logs.
REPORTED = "Received executor event with state success for task instance TaskInstanceKey(dag_id='{}', {}"


@contextmanager
def airflow_of(
    folder: Path,
    dag_files: Iterable[Path],
    *,
    prepare: Callable[[StackSettings], dict[str, str]] = lambda _: {},
) -> Iterator[Airflow]:
    """Start a stack whose Airflow has these DAG files, next to the compiled definitions.

    :param folder: everything it writes.
    :param dag_files: the files, and folders of files.
    :param prepare: makes more environment variables of Airflow's processes.
    """
    dags = folder / "dags"
    shutil.copytree(ROOT / "dags" / "definitions", dags / "definitions")
    for path in dag_files:
        shutil.copytree(path, dags, dirs_exist_ok=True) if path.is_dir() else shutil.copy(path, dags)
    settings = StackSettings(
        state_dir=folder / "stack", airflow_port=free_port(), runtime_port=free_port(), dags_folder=dags
    )
    env = {**PATIENT, "AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY": "1", **prepare(settings)}
    stack = Stack(settings, extra_env=env)
    stack.up()
    try:
        yield Airflow(stack)
    finally:
        stack.down()


def unpause(airflow: Airflow, dag_ids: Iterable[str]) -> None:
    """Unpause DAGs, once their files are read."""
    api, wanted = airflow.api, set(dag_ids)
    until(lambda: api.dag_ids() >= wanted or api.import_errors(), "the DAG files")
    assert not (errors := api.import_errors()), errors
    for dag_id in wanted:
        api.unpause(dag_id)


def ended(airflow: Airflow, dag_id: str, run_id: str) -> Run:
    """Return a run that has ended."""
    return patiently(lambda: airflow.finished(dag_id, run_id), f"{dag_id} {run_id} to end")


def question(api: AirflowClient, dag_id: str, run_id: str, task_id: str = APPROVE) -> dict[str, Any]:
    """Return what a task asks, once it waits for the answer."""
    path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}"

    def asked() -> dict[str, Any] | None:
        waits = api.call("GET", path)["state"] == "awaiting_input"
        return api.call("GET", f"{path}/-1/hitlDetails") if waits else None

    return patiently(asked, f"{run_id} to ask")


def answer(
    stack: Stack,
    dag_id: str,
    run_id: str,
    option: str,
    reason: str = "",
    *,
    task_id: str = APPROVE,
    acted: Callable[[], bool] = lambda: False,
) -> None:
    """Answer what a task asks, as a person does: after the process that asked has ended.

    Airflow 3.3.2 fails an attempt whose process the executor reports as ended only after the answer.
    """
    api, path = stack.api, f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}"
    log = stack.processes.log_path("airflow-scheduler")
    body = {"chosen_options": [option], "params_input": {"reason": reason}}

    def done() -> bool:
        task = api.call("GET", path)
        key = f"task_id='{task_id}', run_id='{run_id}', try_number={task['try_number']},"
        asked = task["state"] == "awaiting_input" and REPORTED.format(dag_id, key) in log.read_text()
        if asked and not api.call("GET", f"{path}/-1/hitlDetails")["response_received"]:
            api.call("PATCH", f"{path}/-1/hitlDetails", json=body)
        return acted() or task["state"] in ("success", "failed")

    patiently(done, f"the answer to {run_id}")
