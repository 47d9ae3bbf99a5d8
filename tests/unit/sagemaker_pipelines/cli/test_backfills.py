"""The report and the cancel of a backfill, over executions of a real local runtime."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from sagemaker_local_runtime.testing import LocalRuntime, local_runtime
from sagemaker_pipelines.airflow_client import AirflowClient
from sagemaker_pipelines.cli import app, backfills
from sagemaker_pipelines.task.logical_start import LogicalStart

__all__ = ["local_runtime"]

DAYS = ("2026-01-01", "2026-01-02")


class Airflow:
    """What the client asks an Airflow for; a run that is marked failed is failed, and no task is killed."""

    def __init__(self, states: tuple[str, str] = ("success", "running")) -> None:
        self.states = dict(zip(DAYS, states, strict=True))
        self.pushed: dict[str, dict[str, Any]] = {day: {} for day in DAYS}
        self.cancelled = False

    def backfill(self, backfill_id: int) -> dict[str, Any]:
        return {"id": backfill_id, "dag_id": "train", "created_at": "2026-01-01T00:00:00Z"}

    def cancel_backfill(self, backfill_id: int) -> bool:
        self.cancelled = True
        return True

    def backfill_runs(self, backfill: Any) -> list[dict[str, Any]]:
        return [
            {"dag_id": "train", "dag_run_id": day, "logical_date": day, "state": state, "duration": 9.0}
            for day, state in self.states.items()
        ]

    def fail_run(self, dag_id: str, run_id: str) -> None:
        self.states[run_id] = "failed"

    def xcoms(self, run: Any, keys: frozenset[str]) -> dict[str, Any]:
        return self.pushed[run["dag_run_id"]]


def execution(runtime: LocalRuntime, name: str, run_id: str) -> str:
    start = LogicalStart(dag_id="train", run_id=run_id, task_id="start", map_index=-1, generation="0" * 32)
    answer = runtime.client("sagemaker").start_pipeline_execution(
        PipelineName=name,
        PipelineExecutionDescription=start.description,
        ClientRequestToken=(run_id + name) * 4,
    )
    return str(answer["PipelineExecutionArn"])


@pytest.fixture
def pipelines(local_runtime: LocalRuntime, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """The names of a pipeline that ends at once, and of one that waits for good."""
    extra = {"region_name": "us-east-1", "endpoint_url": local_runtime.endpoint_url}
    connection = {"conn_type": "aws", "login": "test", "password": "test", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))
    queue = local_runtime.client("sqs").create_queue(QueueName="hold")["QueueUrl"]
    hold = {"Name": "Hold", "Type": "Callback", "SqsQueueUrl": queue, "Arguments": {}}
    condition = {"Conditions": [{"Type": "Equals", "LeftValue": 1, "RightValue": 1}]}
    nothing = {
        "Name": "Nothing",
        "Type": "Condition",
        "Arguments": {**condition, "IfSteps": [], "ElseSteps": []},
    }
    return (
        local_runtime.create_pipeline({"Version": "2020-12-01", "Steps": [nothing]}),
        local_runtime.create_pipeline({"Version": "2020-12-01", "Steps": [hold]}),
    )


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Airflow:
    airflow = Airflow()
    for name in ("backfill", "cancel_backfill", "backfill_runs", "fail_run", "xcoms"):
        monkeypatch.setattr(AirflowClient, name, staticmethod(getattr(airflow, name)))
    return airflow


def test_the_report_has_runs_executions_and_metrics_by_date(
    local_runtime: LocalRuntime, pipelines: tuple[str, str], airflow: Airflow
) -> None:
    first, second = (
        execution(local_runtime, pipelines[0], DAYS[0]),
        execution(local_runtime, pipelines[1], DAYS[1]),
    )
    local_runtime.wait(first)
    airflow.pushed[DAYS[0]] = {
        "pipeline_execution_arn": first,
        "gate": {"metric": "mse", "value": 4.5, "threshold": 6.0, "verdict": "accepted"},
        "execution": {
            "instance_seconds": 12.0,
            "cost": 0.24,
            "currency": "USD",
            "price_date": "2026-11-20",
        },
    }
    airflow.pushed[DAYS[1]] = {"pipeline_execution_arn": second}
    done = CliRunner().invoke(app, ["backfill-report", "7", "--json"])
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    assert [(d["execution_status"], d["value"], d["verdict"], d["executions"]) for d in told["dates"]] == [
        ("Succeeded", 4.5, "accepted", 1),
        ("Executing", None, None, 1),
    ]
    assert told["totals"] == {
        "runs": 2,
        "done": 1,
        "states": {"success": 1, "running": 1},
        "executions": 2,
        "instance_seconds": 12.0,
        "cost": 0.24,
        "currency": "USD",
        "price_date": "2026-11-20",
    }
    table = CliRunner().invoke(app, ["backfill-report", "7"]).stdout
    assert "1 of 2 done: 1 running, 1 success" in table
    assert "mse 4.5 " in table
    assert "12 instance-seconds, 0.24 USD by the prices of 2026-11-20" in table
    assert first.rpartition("/")[2] in table


def test_a_failed_run_is_told_by_the_exit_code(pipelines: tuple[str, str], airflow: Airflow) -> None:
    airflow.states[DAYS[1]] = "failed"
    assert CliRunner().invoke(app, ["backfill-report", "7"]).exit_code == 1


def test_cancel_stops_what_the_tasks_have_left_and_nothing_else(
    local_runtime: LocalRuntime, pipelines: tuple[str, str], airflow: Airflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfills, "_GRACE_SECONDS", 0.0)
    monkeypatch.setattr(backfills, "_LOOK_SECONDS", 0.1)
    ours = execution(local_runtime, pipelines[1], DAYS[1])
    foreign = execution(local_runtime, pipelines[1], "manual")
    done = CliRunner().invoke(app, ["backfill-cancel", "7", "--yes", "--json"])
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    assert airflow.cancelled
    assert (told["runs"], told["directly"], list(told["stopped"])) == ([DAYS[1]], [ours], [ours])
    sagemaker = local_runtime.client("sagemaker")
    described = sagemaker.describe_pipeline_execution(PipelineExecutionArn=foreign)
    assert described["PipelineExecutionStatus"] == "Executing"


def test_cancel_tells_what_it_could_not_stop(
    local_runtime: LocalRuntime, pipelines: tuple[str, str], airflow: Airflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfills, "_LOOK_SECONDS", 0.1)
    monkeypatch.setattr(backfills, "stop_execution", lambda *_args, **_options: False)
    arn = execution(local_runtime, pipelines[1], DAYS[1])
    done = CliRunner().invoke(app, ["backfill-cancel", "7", "--yes", "--timeout", "0.5"])
    assert done.exit_code == 1
    assert f"{arn} is still executing" in done.stderr


def test_without_a_yes_nothing_is_cancelled(pipelines: tuple[str, str], airflow: Airflow) -> None:
    assert CliRunner().invoke(app, ["backfill-cancel", "7"], input="n\n").exit_code == 1
    assert not airflow.cancelled


def test_an_airflow_that_does_not_answer_is_named() -> None:
    done = CliRunner().invoke(app, ["backfill-report", "7", "--airflow-url", "http://127.0.0.1:1"])
    assert done.exit_code == 1
    assert "Airflow does not answer at http://127.0.0.1:1" in done.stderr
