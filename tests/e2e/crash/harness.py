"""A real Airflow and a local runtime whose processes a test may kill."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from sagemaker_local_runtime.images.ports import free_port
from sagemaker_local_runtime.settings import Settings
from sagemaker_local_runtime.testing_client import Endpoint
from stack.airflow_env import airflow_environment
from stack.lifecycle import Stack
from stack.processes import ProcessSpec, runs
from stack.settings import StackSettings
from tests.waiting import GENEROUS_SECONDS, patiently, until

PIPELINE = "crash"
DAGS = Path(__file__).parent / "dags"
SCHEDULER, TRIGGERER = "airflow-scheduler", "airflow-triggerer"
SECOND_TRIGGERER = "airflow-triggerer-2"
ENDED = ("success", "failed")
WAIT_SECONDS = 300.0
# Airflow's defaults wait minutes before it believes in a death. The code that reacts is the same.
SOON = {
    # Four heartbeats: on a busy machine, one or two of a task that lives come late.
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "3",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "6",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
    "AIRFLOW__SCHEDULER__JOB_HEARTBEAT_SEC": "1",
    # Airflow's default: the old try of a task that was taken over lives on until then.
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "5",
    # How long a process may go on after it has reported its task's success.
    "AIRFLOW__CORE__TASK_SUCCESS_OVERTIME": "3",
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "6",
}

# What a trigger logs when it has looked at the execution.
_LOOKED = {"ours": "Step Hold", "provider": "Executing"}


class Harness:
    """One stack whose only pipeline waits in a Callback step until the test answers.

    :param folder: everything it writes.
    :param operators: ``"ours"`` or ``"provider"``.
    """

    def __init__(self, folder: Path, operators: str = "ours") -> None:
        self.operators = operators
        self.gates = folder / "gates"
        self.gates.mkdir()
        self.settings = StackSettings(
            state_dir=folder / "stack",
            airflow_port=free_port(),
            runtime_port=free_port(),
            dags_folder=DAGS,
        )
        self._env = {**SOON, "CRASH_FOLDER": str(self.gates), "CRASH_OPERATORS": operators}
        self.stack = Stack(self.settings, extra_env=self._env)
        self.api = self.stack.api
        self.endpoint = Endpoint(self.settings.runtime_url, Settings(data_dir=self.settings.runtime_data_dir))
        self.sagemaker = self.endpoint.client("sagemaker", retries=3)
        self._orphaned_groups: list[int] = []
        self._runs = 0

    def up(self) -> Harness:
        """Start everything and deploy the pipeline."""
        self.stack.up()
        try:
            queue = self.endpoint.client("sqs").create_queue(QueueName="hold")["QueueUrl"]
            hold = {"Name": "Hold", "Type": "Callback", "SqsQueueUrl": queue, "Arguments": {"why": "test"}}
            self.endpoint.create_pipeline({"Version": "2020-12-01", "Steps": [hold]}, PIPELINE)
            self.until(lambda: "operator_deferred" in self.api.dag_ids(), "the DAG file to be read")
            assert not self.api.import_errors()
        except BaseException:
            self.close()
            raise
        return self

    def close(self) -> None:
        """Stop everything, also what a killed process left behind."""
        self.stack.down()
        self.stack.processes.stop([SECOND_TRIGGERER])
        for group in self._orphaned_groups:
            _signal_group(group, signal.SIGKILL)
        self.endpoint.close()

    def trigger(self, dag_id: str, *, point: str = "", task: str = "", **conf: str) -> str:
        """Start a run whose id is also its executions' display name."""
        self._runs += 1
        run_id = f"run-{self._runs}-{dag_id.replace('_', '-')}"
        return self.api.trigger(dag_id, {"point": point, "task": task, **conf}, run_id=run_id)

    def until(self, ready: Callable[[], Any], what: str) -> Any:
        """Return the first true answer.

        :raises ProcessDiedError: a part of the stack died that no test has killed.
        """

        def ready_or_dead() -> Any:
            answer = ready()
            if not answer:
                self.stack.processes.require_alive(self.stack.processes.started())
            return answer

        return until(ready_or_dead, what, seconds=WAIT_SECONDS)

    def repair(self) -> None:
        """Start again what a failed test has left dead."""
        self.stack.processes.stop([SECOND_TRIGGERER])
        for name in (SCHEDULER, TRIGGERER):
            if self.stack.processes.running(name) is None:
                self.start(name)

    def task(self, dag_id: str, run_id: str, task_id: str) -> dict[str, Any]:
        """Return one task instance."""
        tasks = self.api.task_instances(dag_id, run_id)
        return next(task for task in tasks if task["task_id"] == task_id)

    def processes_at(self, run_id: str) -> dict[str, int]:
        """Return the pids of the task that has reached its point, and of its supervisor."""
        path = self.gates / f"{run_id}.reached"
        self.until(path.exists, f"{run_id} to reach its point")
        pids: dict[str, int] = json.loads(path.read_text())
        return pids

    def until_process_ended(self, run_id: str) -> None:
        """Wait until the process that reached its point is gone, however it ends."""
        try:
            process = psutil.Process(self.processes_at(run_id)["task"])
        except psutil.NoSuchProcess:
            return
        self.until(lambda: not runs(process), f"{process} of {run_id} to end")

    def until_deferred(self, dag_id: str, run_id: str, task_id: str) -> int:
        """Wait until a triggerer watches the execution, and return the id of its job."""
        self.until(lambda: self.task(dag_id, run_id, task_id)["state"] == "deferred", f"{run_id} to defer")
        return int(self.until(lambda: self.watched_by(run_id), f"the triggerer to watch {run_id}")[-1])

    def watched_by(self, run_id: str) -> list[int]:
        """Return the ids of the triggerers' jobs that have looked at the run's execution, in their order."""
        return sorted(
            int(path.name.split(".")[-2])
            for path in self._trigger_logs(run_id)
            if _LOOKED[self.operators] in path.read_text()
        )

    def trigger_log(self, run_id: str) -> str:
        """Return what the run's triggers have logged."""
        return "".join(path.read_text() for path in self._trigger_logs(run_id))

    def _trigger_logs(self, run_id: str) -> list[Path]:
        logs = self.settings.airflow_home / "logs"
        return list(logs.glob(f"dag_id=*/run_id={run_id}/task_id=*/attempt=*.log.trigger.*.log"))

    def open_gate(self, run_id: str) -> None:
        """Let a held task go on, if it still lives."""
        (self.gates / f"{run_id}.open").touch()

    def tries(self, run_id: str, task_id: str) -> int:
        """Return how many tries of a task have begun to execute."""
        return len(list(self.gates.glob(f"{run_id}.{task_id}.*")))

    def executions(self, run_id: str) -> list[dict[str, Any]]:
        """Return the executions that a run has started, the newest first."""
        pages = self.sagemaker.get_paginator("list_pipeline_executions").paginate(
            PipelineName=PIPELINE, SortBy="CreationTime", SortOrder="Descending"
        )
        found = [summary for page in pages for summary in page["PipelineExecutionSummaries"]]
        return [summary for summary in found if summary["PipelineExecutionDisplayName"] == run_id]

    def statuses(self, run_id: str) -> list[str]:
        """Return their statuses, the newest first."""
        return [summary["PipelineExecutionStatus"] for summary in self.executions(run_id)]

    def release(self, arn: str) -> None:
        """Answer the execution's Callback step, so that it ends."""
        for step in self.endpoint.steps(arn).values():
            token = step["Metadata"].get("Callback", {}).get("CallbackToken")
            if token and step["StepStatus"] in ("Starting", "Executing", "Stopping"):
                self.sagemaker.send_pipeline_execution_step_success(CallbackToken=token)

    def end(self, dag_id: str, run_id: str) -> str:
        """Let the run's newest execution end, which is what it waits for, and return the run's state."""

        def ended() -> str | None:
            state = str(self.api.run(dag_id, run_id)["state"])
            if state in ENDED:
                return state
            for execution in self.executions(run_id)[:1]:
                if execution["PipelineExecutionStatus"] in ("Executing", "Stopping"):
                    self.release(execution["PipelineExecutionArn"])
            return None

        return str(self.until(ended, f"{run_id} to end"))

    def clean(self, dag_id: str, run_id: str) -> None:
        """End whatever is left of a run."""
        if self.api.run(dag_id, run_id)["state"] not in ENDED:
            self.patch(f"/dags/{dag_id}/dagRuns/{run_id}", {"state": "failed"})
        for execution in self.executions(run_id):
            self.release(execution["PipelineExecutionArn"])

    def patch(self, path: str, body: dict[str, Any]) -> None:
        """Change a run or a task instance as the UI's buttons do."""
        patiently(lambda: self.api.call("PATCH", path, json=body), path)

    def clear(self, dag_id: str, run_id: str, task_id: str) -> None:
        """Clear a task as the UI's button does."""
        body = {"dry_run": False, "dag_run_id": run_id, "task_ids": [task_id]}
        body |= {"only_failed": False, "reset_dag_runs": True}
        path = f"/dags/{dag_id}/clearTaskInstances"
        patiently(lambda: self.api.call("POST", path, json=body), path)

    def kill(self, name: str) -> None:
        """Kill one of Airflow's processes with SIGKILL; the scheduler's workers live on, as they do."""
        process = self.process(name)
        children = process.children(recursive=True)
        self._orphaned_groups.append(process.pid)
        process.kill()
        if name == TRIGGERER:
            for child in children:
                child.kill()
        process.wait(timeout=GENEROUS_SECONDS)
        self.stack.processes.forget(name)

    def until_scheduler_took_over(self) -> None:
        """Wait until the scheduler knows that the one before it is dead, and has looked after its tasks."""

        def has() -> bool:
            log = self.stack.processes.log_path(SCHEDULER).read_text()
            return (
                "Adopting or resetting orphaned tasks" in log.partition("SchedulerJob instances as failed")[2]
            )

        self.until(has, "the new scheduler to take over")

    def start(self, name: str, *, kind: str | None = None) -> None:
        """Start one of Airflow's processes.

        :param name: its name in the process table.
        :param kind: which of Airflow's processes it is; None takes the name.
        """
        spec = self.stack._airflow_spec(kind or name, airflow_environment(self.settings, extra=self._env))
        self.stack.processes.start(ProcessSpec(name=name, command=spec.command, env=spec.env))

    def process(self, name: str) -> psutil.Process:
        """Return a running process."""
        process = self.stack.processes.running(name)
        assert process is not None, f"{name} does not run"
        return process

    @contextmanager
    def frozen(self, name: str, *, children: bool = True) -> Iterator[None]:
        """Freeze a process, with or without its children, where it holds no lock on Airflow's database.

        SQLite has one lock for all: whoever is frozen with it stops the others, and they die of it.
        """
        process = self.process(name)
        family = [process, *(process.children(recursive=True) if children else [])]

        def freeze() -> bool:
            _signal_all(family, signal.SIGSTOP)
            if free := self._database_is_free():
                return free
            _signal_all(family, signal.SIGCONT)
            return False

        until(freeze, f"{name} to hold no lock")
        try:
            yield
        finally:
            _signal_all(family, signal.SIGCONT)

    def _database_is_free(self) -> bool:
        path = self.settings.airflow_home / "airflow.db"
        # Others hold the lock for milliseconds.
        with closing(sqlite3.connect(path, timeout=GENEROUS_SECONDS, isolation_level=None)) as database:
            try:
                database.execute("BEGIN EXCLUSIVE")
            except sqlite3.OperationalError:
                return False
            database.execute("ROLLBACK")
        return True


def _signal_all(processes: list[psutil.Process], number: int) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def _signal_group(pid: int, number: int) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return
