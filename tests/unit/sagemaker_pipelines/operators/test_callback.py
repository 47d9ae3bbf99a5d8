"""A Callback step of a real runtime is answered as the tasks of its run have ended."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, AirflowSkipException
from airflow.sdk.exceptions import DagRunTriggerException, TaskDeferred

from sagemaker_local_runtime.settings import Settings
from sagemaker_local_runtime.testing import LocalRuntime
from sagemaker_pipelines.data.callbacks import Callback
from sagemaker_pipelines.data.messages import parse_message
from sagemaker_pipelines.operators.callback import (
    SageMakerAnswerCallbackOperator,
    SageMakerTriggerCallbackRunOperator,
    SageMakerWatchCallbackOperator,
    answer_failure,
)
from sagemaker_pipelines.task.values import task_value
from tests.waiting import until

OUTPUTS = {"Rows": 3, "Share": 0.5, "Good": True, "Who": "me"}
TYPES = {"Rows": "Integer", "Share": "Float", "Good": "Boolean", "Who": "String"}


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRuntime]:
    runtime = LocalRuntime(Settings(data_dir=tmp_path_factory.mktemp("runtime"), port=0))
    runtime.queue = runtime.client("sqs").create_queue(QueueName="checks")["QueueUrl"]  # type: ignore[attr-defined]
    yield runtime
    runtime.close()


@pytest.fixture
def payload(runtime: LocalRuntime, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The event of a step that waits; the default connection leads to its runtime."""
    extra = {"region_name": "us-east-1", "endpoint_url": runtime.endpoint_url}
    connection = {"conn_type": "aws", "login": "test", "password": "test", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))
    declared = [{"OutputName": name, "OutputType": kind} for name, kind in TYPES.items()]
    url = runtime.queue  # type: ignore[attr-defined]
    step = {"Name": "Ask", "Type": "Callback", "SqsQueueUrl": url, "OutputParameters": declared}
    arguments = {"Arguments": {"Train": "s3://data/train"}}
    runtime.start(runtime.create_pipeline({"Version": "2020-12-01", "Steps": [step | arguments]}))
    sqs = runtime.client("sqs")
    (message,) = until(lambda: sqs.receive_message(QueueUrl=url).get("Messages"), "the message")
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    (event,) = parse_message(message["Body"])
    return event.payload


class Pushed:
    """What a task of the run has pushed to XCom."""

    def __init__(self, task: Any, key: str) -> None:
        self.key = key

    def resolve(self, context: Any) -> Any:
        return context["ti"].pushed.get(self.key)


@pytest.fixture(autouse=True)
def _xcoms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sagemaker_pipelines.task.values.XComArg", Pushed)


class TaskInstance:
    """The part of a running task instance that the operators ask."""

    dag_id, map_index = "check", -1

    def __init__(self, *, tasks: dict[str, str] | None = None, runs: dict[str, str] | None = None) -> None:
        self.tasks, self.runs = tasks or {}, runs or {}
        self.pushed: dict[str, Any] = {}

    def get_task_states(self, **asked: Any) -> dict[str, dict[str, str]]:
        (run_id,) = asked["run_ids"]
        return {run_id: {name: self.tasks[name] for name in asked["task_ids"]}}

    def get_dr_count(self, *, dag_id: str, run_ids: list[str], states: list[str] | None = None) -> int:
        found = [self.runs[run_id] for run_id in run_ids if run_id in self.runs]
        return len([state for state in found if states is None or state in states])

    def get_dag(self, dag_id: str) -> Any:
        return SimpleNamespace(is_paused=False)

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


def context(payload: dict[str, Any] | None, **more: Any) -> Any:
    """The context of a task in the run of a step; without a payload, of a run that a user triggered."""
    conf = Callback.read(payload).conf(payload["arguments"]) if payload else {"Train": "s3://data/train"}
    run_after = datetime(2026, 1, 1, tzinfo=UTC)
    dag_run = SimpleNamespace(run_id="callback__1", conf=conf, run_after=run_after)
    ti = TaskInstance(**more)
    dag = SimpleNamespace(get_task=lambda task_id: task_id)
    return {"ti": ti, "dag_run": dag_run, "run_id": "callback__1", "dag": dag}


def step(runtime: LocalRuntime, payload: dict[str, Any]) -> dict[str, Any]:
    runtime.wait(payload["pipeline_execution_arn"])
    return runtime.steps(payload["pipeline_execution_arn"])["Ask"]


def answer(outputs: dict[str, Any]) -> SageMakerAnswerCallbackOperator:
    return SageMakerAnswerCallbackOperator(
        task_id="answer", other_task_ids=["count"], watch_task_id="watch", outputs=outputs
    )


def trigger(payload: dict[str, Any]) -> SageMakerTriggerCallbackRunOperator:
    return SageMakerTriggerCallbackRunOperator(task_id="trigger", trigger_dag_id="check", callback=payload)


def test_the_run_has_the_id_of_the_token_and_the_arguments_as_its_conf(payload: dict[str, Any]) -> None:
    with pytest.raises(DagRunTriggerException) as raised:
        trigger(payload).execute(context(None))
    token = payload["callback_token"]
    assert raised.value.dag_run_id == f"callback__{token}"
    called = {"callback_token": token, "pipeline_execution_arn": payload["pipeline_execution_arn"]}
    assert raised.value.conf == {"Train": "s3://data/train", "sagemaker_callback": called}


def test_a_message_that_is_delivered_again_finds_the_run(payload: dict[str, Any]) -> None:
    seen = context(None, runs={f"callback__{payload['callback_token']}": "success"})
    trigger(payload).execute(seen)
    assert seen["ti"].pushed == {"trigger_run_id": f"callback__{payload['callback_token']}"}


@pytest.mark.thorough
@pytest.mark.parametrize("runs", [{}, {"callback__{}": "failed"}])
def test_a_stop_without_an_active_run_is_answered_at_once(
    runtime: LocalRuntime, payload: dict[str, Any], runs: dict[str, str]
) -> None:
    existing = {run_id.format(payload["callback_token"]): state for run_id, state in runs.items()}
    trigger({**payload, "status": "Stopping"}).execute(context(None, runs=existing))
    assert "no run of Airflow worked for this step" in step(runtime, payload)["FailureReason"]


@pytest.mark.thorough
def test_a_stop_is_left_to_the_run_that_works(runtime: LocalRuntime, payload: dict[str, Any]) -> None:
    existing = {f"callback__{payload['callback_token']}": "running"}
    trigger({**payload, "status": "Stopping"}).execute(context(None, runs=existing))
    assert runtime.steps(payload["pipeline_execution_arn"])["Ask"]["StepStatus"] == "Executing"


def test_a_run_that_cannot_be_triggered_fails_the_step(
    runtime: LocalRuntime, payload: dict[str, Any]
) -> None:
    failed: Any = {"task": trigger(payload), "exception": RuntimeError("Dag check is paused")}
    answer_failure(failed)
    reason = step(runtime, payload)["FailureReason"]
    assert reason == "Airflow could not run check: Dag check is paused"


def test_the_step_succeeds_with_the_outputs(runtime: LocalRuntime, payload: dict[str, Any]) -> None:
    works = context(payload, tasks={"count": "success", "watch": "deferred"})
    answer(OUTPUTS).execute(works)
    # A retry after an answer that was lost sends the same one.
    answer(OUTPUTS).execute(works)
    found = step(runtime, payload)
    assert found["StepStatus"] == "Succeeded"
    listed = {each["Name"]: each["Value"] for each in found["Metadata"]["Callback"]["OutputParameters"]}
    assert listed == {"Rows": "3", "Share": "0.5", "Good": "true", "Who": "me"}


def test_a_failed_task_fails_the_step_and_is_named(runtime: LocalRuntime, payload: dict[str, Any]) -> None:
    with pytest.raises(AirflowFailException, match="The step fails: Task count failed in run callback__1"):
        answer(OUTPUTS).execute(context(payload, tasks={"count": "failed", "watch": "skipped"}))
    reason = "Task count failed in run callback__1 of check."
    assert step(runtime, payload)["FailureReason"] == reason


@pytest.mark.parametrize(
    ("outputs", "said"),
    [
        pytest.param(
            {"Rows": [1]},
            "output Rows is of the type list; expected a text, a number or a boolean",
            marks=pytest.mark.thorough,
        ),
        pytest.param(
            {"Rows": float("nan")}, r"Rows is nan \(float\), expected a Float", marks=pytest.mark.thorough
        ),
        pytest.param(
            {f"n{i}": i for i in range(51)},
            "51 outputs; SageMaker accepts at most 50",
            marks=pytest.mark.thorough,
        ),
        ({"Rows": 3}, r"SageMaker refuses the outputs \['Rows'\]"),
        ({"Rows": task_value("count", "rows")}, "'count' has not pushed 'rows'"),
    ],
)
def test_outputs_that_cannot_be_sent_fail_both_the_task_and_the_step(
    runtime: LocalRuntime, payload: dict[str, Any], outputs: dict[str, Any], said: str
) -> None:
    works = context(payload, tasks={"count": "success", "watch": "deferred"})
    with pytest.raises(AirflowFailException, match=said) as raised:
        answer(outputs).execute(works)
    reason = step(runtime, payload)["FailureReason"]
    assert str(raised.value).startswith(f"The step fails: {reason.partition('... (cut')[0]}")


@pytest.mark.thorough
def test_an_answer_that_comes_too_late_fails_the_task_and_is_not_logged(
    runtime: LocalRuntime, payload: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    runtime.client("sagemaker").send_pipeline_execution_step_failure(
        CallbackToken=payload["callback_token"], FailureReason="by hand"
    )
    step(runtime, payload)
    with pytest.raises(AirflowFailException, match="does not accept this answer"):
        answer({**OUTPUTS, "Who": "hunter2"}).execute(
            context(payload, tasks={"count": "success", "watch": "deferred"})
        )
    (warning,) = (line for line in capsys.readouterr().out.splitlines() if "does not accept" in line)
    assert "hunter2" not in warning


def watch() -> SageMakerWatchCallbackOperator:
    return SageMakerWatchCallbackOperator(
        task_id="watch", other_task_ids=["count"], timeout=timedelta(minutes=5)
    )


def test_the_deadline_counts_from_when_the_run_was_triggered(payload: dict[str, Any]) -> None:
    with pytest.raises(TaskDeferred) as deferred:
        watch().execute(context(payload))
    _, arguments = deferred.value.trigger.serialize()
    assert arguments["deadline"] == datetime(2026, 1, 1, 0, 5, tzinfo=UTC).timestamp()
    assert arguments["pipeline_execution_arn"] == payload["pipeline_execution_arn"]


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ({"event": "timeout"}, "The run has not ended within 0:05:00."),
        (
            {"event": "stopped", "status": "Stopping"},
            "The execution is Stopping, so the run does not go on.",
        ),
    ],
)
def test_the_watch_fails_with_the_reason_that_the_answer_sends(
    runtime: LocalRuntime,
    payload: dict[str, Any],
    event: dict[str, Any],
    reason: str,
) -> None:
    seen = context(payload, tasks={"count": "failed", "watch": "failed"})
    with pytest.raises(AirflowFailException):
        watch().execute_complete(seen, event)
    with pytest.raises(AirflowFailException, match=reason):
        answer(OUTPUTS).execute(seen)
    assert step(runtime, payload)["FailureReason"] == reason


def test_the_watch_succeeds_when_the_work_is_done_and_is_retried_after_an_error() -> None:
    watch().execute_complete(context(None), {"event": "ended"})
    with pytest.raises(AirflowException, match="could not be watched: AccessDenied"):
        watch().execute_complete(context(None), {"event": "error", "message": "AccessDenied"})


def test_a_run_that_a_user_triggered_is_neither_watched_nor_answered() -> None:
    for operator in (watch(), answer(OUTPUTS)):
        with pytest.raises(AirflowSkipException, match="not triggered for a Callback step"):
            operator.execute(context(None))
