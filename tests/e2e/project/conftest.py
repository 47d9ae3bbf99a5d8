"""One real Airflow and one local runtime for all end-to-end tests; the scenarios run side by side in it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from sagemaker_local_runtime.images.ports import free_port
from sagemaker_pipelines.exceptions import AirflowRequestError
from stack.airflow_env import airflow_environment, aws_connection
from stack.bootstrap import create_notifications, upload
from stack.lifecycle import Stack
from stack.notifications import receive
from stack.settings import StackSettings
from tests.waiting import GENEROUS_SECONDS, PATIENT, RUN_SECONDS, until

# Their own: `make demo`, which a test runs on this stack, empties the stack's.
QUEUE = "sagemaker-pipelines-tests"
LOG_CHARACTERS = 4000
# Those of `make test`.
QUICK_SCENARIOS = ("accepted", "rejected")
DAGS = {"abalone_train", "abalone_tuned", "abalone_score", "partitioned", "limited"}
MAX_EXECUTING = 2
BAD_ROW = b"M,0.455,0.365,0.095,0.514,0.2245,0.101,0.15,15\nM,not-a-number,0.3,0.1,0.5,0.2,0.1,0.1,9\n"


@dataclass(frozen=True)
class Run:
    """A DAG run that has ended."""

    dag_id: str
    run_id: str
    state: str
    tasks: dict[str, str]


class Airflow:
    """What the tests ask the stack for."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.settings = stack.settings
        self.api = stack.api
        self.sagemaker = self.settings.target.sagemaker
        self._messages: list[dict[str, Any]] = []
        create_notifications(self.settings, QUEUE)

    def client(self, service: str) -> Any:
        return self.settings.target.boto3_client(service)

    def finished(self, dag_id: str, run_id: str) -> Run:
        def ended() -> str | None:
            state = str(self.api.run(dag_id, run_id)["state"])
            return state if state in ("success", "failed") else None

        state = until(ended, f"{dag_id} {run_id} to end", seconds=RUN_SECONDS, every=0.3)
        tasks = self.api.task_instances(dag_id, run_id)
        for task in tasks:
            if task["state"] == "failed":
                self._print_log(dag_id, run_id, task)
        return Run(dag_id, run_id, state, {task["task_id"]: task["state"] for task in tasks})

    def _print_log(self, dag_id: str, run_id: str, task: dict[str, Any]) -> None:
        """Print the end of a log, which pytest shows if the test fails."""
        try:
            log = self.api.log(dag_id, run_id, task["task_id"], task["try_number"])
        except AirflowRequestError as error:
            log = str(error)
        print(f"{run_id}, {task['task_id']}, attempt {task['try_number']}:\n{log[-LOG_CHARACTERS:]}")

    def execution_arn(self, run: Run) -> str:
        return str(self.api.xcom(run.dag_id, run.run_id, "start_pipeline"))

    def executions(self, pipeline_name: str) -> list[dict[str, Any]]:
        """Return a pipeline's executions, the newest first; an empty list if it does not exist."""
        sagemaker = self.client("sagemaker")
        try:
            answer = sagemaker.list_pipeline_executions(PipelineName=pipeline_name)
        except sagemaker.exceptions.ResourceNotFound:
            return []
        found: list[dict[str, Any]] = answer["PipelineExecutionSummaries"]
        return found

    @contextmanager
    def paused(self, dag_id: str) -> Iterator[None]:
        """Pause a DAG that has no active backfill, while one is made: SQLite has one writer."""
        until(lambda: not self.active_backfills(dag_id), "earlier backfills to end", seconds=RUN_SECONDS)
        self.api.pause(dag_id)
        try:
            yield
        finally:
            self.api.unpause(dag_id)

    def active_backfills(self, dag_id: str) -> list[dict[str, Any]]:
        """Return the backfills whose end Airflow has not noticed, for which it looks every 30 s."""
        backfills = self.api.call("GET", "/backfills", dag_id=dag_id)["backfills"]
        return [backfill for backfill in backfills if backfill["completed_at"] is None]

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Airflow's command line where its processes run."""
        env = airflow_environment(self.settings, extra=environment(self.settings))
        command = [sys.executable, "-m", "airflow", *arguments]
        return subprocess.run(
            command, env=env, capture_output=True, text=True, timeout=GENEROUS_SECONDS, check=False
        )

    def messages(self, run: Run) -> list[dict[str, Any]]:
        """Return the notifications that name this run, as the SQS subscription received them."""
        self._messages += receive(self.settings, QUEUE)
        return [message for message in self._messages if run.run_id in message["Message"]]


def environment(settings: StackSettings) -> dict[str, str]:
    """Return what else the tests need: DAGs of their own, and a connection that allows few executions."""
    limited: Any = aws_connection(replace(settings, name_prefix="limited-"))
    limited["extra"]["service_config"]["sagemaker"]["max_executing"] = MAX_EXECUTING
    folders = {"dags": settings.dags_folder, "tests": Path(__file__).parent / "dags"}
    bundle = "airflow.dag_processing.bundles.local.LocalDagBundle"
    bundles = [
        {"name": name, "classpath": bundle, "kwargs": {"path": str(path)}} for name, path in folders.items()
    ]
    return {
        **PATIENT,
        "AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY": "1",
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(bundles),
        "AIRFLOW_CONN_AWS_LIMITED": json.dumps(limited),
    }


@pytest.fixture(scope="package")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    settings = StackSettings(
        state_dir=tmp_path_factory.mktemp("stack"), airflow_port=free_port(), runtime_port=free_port()
    )
    stack = Stack(settings, extra_env=environment(settings))
    stack.up()
    try:
        until(lambda: stack.api.dag_ids() >= DAGS or stack.api.import_errors(), "the DAG files to be read")
        assert not (errors := stack.api.import_errors()), errors
        for dag_id in DAGS:
            stack.api.unpause(dag_id)
        yield Airflow(stack)
    finally:
        stack.down()


Scenario = Callable[[str], Run]


@pytest.fixture(scope="package")
def scenario(airflow: Airflow, request: pytest.FixtureRequest) -> Scenario:
    """Return the ended run of a scenario; those that the chosen tests need are started together."""
    (bad,) = upload(airflow.settings, {"bad/abalone.csv": BAD_ROW})
    confs: dict[str, dict[str, Any]] = {
        "accepted": {"ModelApprovalStatus": "Approved"},
        "rejected": {"ModelApprovalStatus": "Approved", "MseThreshold": 3.0},
        "awaiting_approval": {"ModelApprovalStatus": "PendingManualApproval"},
        "failed": {"InputData": bad},
        "tuned": {"SkipQualityCheck": True, "RegisterNewBaseline": True},
    }
    ended: dict[str, Run] = {}

    def dag_of(name: str) -> str:
        return "abalone_tuned" if name == "tuned" else "abalone_train"

    def trigger(names: Iterable[str]) -> None:
        for name in names:
            airflow.api.trigger(dag_of(name), confs.pop(name), run_id=f"e2e_{name}")

    def run(name: str) -> Run:
        trigger({name} & confs.keys())
        if name not in ended:
            ended[name] = airflow.finished(dag_of(name), f"e2e_{name}")
        return ended[name]

    trigger(QUICK_SCENARIOS)
    if any(item.get_closest_marker("thorough") for item in request.session.items):
        trigger(list(confs))
    return run
