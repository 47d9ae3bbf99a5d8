"""A DAG works for the Callback steps of pipelines, and answers each of them however its run ends."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from sagemaker_pipelines.aws.upsert import upsert_pipeline
from sagemaker_pipelines.definition import Envelope
from sagemaker_pipelines.exceptions import AirflowRequestError
from stack.settings import ROOT
from tests.documents import blocks
from tests.e2e.crash.harness import ENDED
from tests.e2e.events.conftest import EventStack
from tests.iam import allowed_actions
from tests.waiting import GENEROUS_SECONDS

pytestmark = pytest.mark.thorough


class Callback:
    """An execution with a Callback step, and the run that works for it."""

    def __init__(self, events: EventStack, arn: str, step: str, dag_id: str) -> None:
        self.events, self.arn, self.step, self.dag_id = events, arn, step, dag_id

    def run_id(self) -> str:
        """Wait until the step has sent its message, and return the id of the run for it."""

        def token() -> str | None:
            step = self.events.endpoint.steps(self.arn).get(self.step, {})
            found: str | None = step.get("Metadata", {}).get("Callback", {}).get("CallbackToken")
            return found

        return f"callback__{self.events.until(token, f'step {self.step}')}"

    def running(self) -> str:
        """Wait until the work has begun, and return the id of the run."""
        run_id = self.run_id()
        self.events.until(lambda: self.task_state("hold") == "running", "the work to begin")
        return run_id

    def task_state(self, task_id: str) -> str | None:
        """Return the state of one task of the run; None if there is no run."""
        try:
            tasks = self.events.api.task_instances(self.dag_id, self.run_id())
        except AirflowRequestError as error:
            if error.status != 404:
                raise
            return None
        states: dict[str, str | None] = {task["task_id"]: task["state"] for task in tasks}
        return states[task_id]

    def ended(self) -> tuple[str, dict[str, Any]]:
        """Return the execution's status and its Callback step, after both have ended."""
        status = self.events.endpoint.wait(self.arn, timeout=GENEROUS_SECONDS)["PipelineExecutionStatus"]
        return status, self.events.endpoint.steps(self.arn)[self.step]

    def run_state(self) -> str:
        """Return the state in which the run has ended."""
        run_id = self.run_id()

        def state() -> str | None:
            found: str = self.events.api.run(self.dag_id, run_id)["state"]
            return found if found in ENDED else None

        return str(self.events.until(state, f"{run_id} to end"))


def call(events: EventStack, dag_id: str, arguments: dict[str, Any] | None = None) -> Callback:
    """Start an execution whose only step waits for a run of a DAG."""
    step = {"Name": "Ask", "Type": "Callback", "SqsQueueUrl": events.queue_url(dag_id)}
    definition = {"Version": "2020-12-01", "Steps": [{**step, "Arguments": arguments or {}}]}
    return Callback(events, events.endpoint.start(events.endpoint.create_pipeline(definition)), "Ask", dag_id)


@pytest.fixture
def checked_abalone(events: EventStack, tmp_path: Path) -> Path:
    """The pipeline of docs/callbacks.md: abalone, with the data checked before the training."""
    path = tmp_path / "abalone.json"
    shutil.copytree(ROOT / "dags" / "definitions" / "assets", tmp_path / "assets")
    document = json.loads((ROOT / "dags" / "definitions" / "abalone.json").read_text())
    (shown,) = blocks("callbacks.md", "json")
    step = {**json.loads(shown), "SqsQueueUrl": events.queue_url("abalone-checks")}
    steps = document["definition"]["Steps"]
    train = next(each for each in steps if each["Name"] == "AbaloneTrain")
    train["DependsOn"] = [*train.get("DependsOn", ()), step["Name"]]
    steps.insert(steps.index(train), step)
    path.write_text(json.dumps({**document, "name": f"checked-{tmp_path.name[:20]}".replace("_", "-")}))
    return path


def start_checked(events: EventStack, path: Path, minimum_rows: int) -> Callback:
    document = json.loads(path.read_text())
    step = next(each for each in document["definition"]["Steps"] if each["Name"] == "CheckData")
    step["Arguments"]["MinimumRows"] = minimum_rows
    path.write_text(json.dumps(document))
    target, envelope = events.settings.target, Envelope.load(path)
    upsert_pipeline(target.sagemaker, envelope)
    arn = target.start(envelope, {"RegisterModel": "false"})
    return Callback(events, arn, "CheckData", "check_abalone_data")


def test_the_example_checks_the_data_and_the_pipeline_trains_on_them(
    events: EventStack, checked_abalone: Path
) -> None:
    called = start_checked(events, checked_abalone, 100)
    status, step = called.ended()
    assert (status, step["StepStatus"]) == ("Succeeded", "Succeeded")
    (output,) = step["Metadata"]["Callback"]["OutputParameters"]
    assert output["Name"] == "Rows"
    assert int(output["Value"]) > 2000
    assert called.run_state() == "success"
    conf = events.api.run(called.dag_id, called.run_id())["conf"]
    assert conf["Train"].endswith("/train")
    # A message that SQS delivers again finds the same run.
    runs = len(events.api.runs(called.dag_id))
    message = {"token": called.run_id().rpartition("__")[2], "pipelineExecutionArn": called.arn}
    arguments = {"Train": conf["Train"], "MinimumRows": 100}
    events.send(json.dumps({**message, "status": "Executing", "arguments": arguments}), "abalone-checks")
    events.until(lambda: events.messages("abalone-checks") == (0, 0), "the queue to be empty")
    events.idle("check_abalone_data_callbacks")
    assert len(events.api.runs(called.dag_id)) == runs


def test_a_check_that_fails_fails_the_step_and_nothing_is_trained(
    events: EventStack, checked_abalone: Path
) -> None:
    called = start_checked(events, checked_abalone, 1_000_000)
    status, step = called.ended()
    assert (status, step["StepStatus"]) == ("Failed", "Failed")
    assert step["FailureReason"] == (
        f"Task check_rows failed in run {called.run_id()} of check_abalone_data."
    )
    assert "AbaloneTrain" not in events.endpoint.steps(called.arn)
    assert called.run_state() == "failed"


def test_a_stop_of_the_execution_fails_the_run_and_answers(events: EventStack) -> None:
    called = call(events, "hold")
    called.running()
    events.sagemaker.stop_pipeline_execution(PipelineExecutionArn=called.arn)
    status, step = called.ended()
    assert (status, step["FailureReason"]) == (
        "Stopped",
        "The execution is Stopping, so the run does not go on.",
    )
    assert called.run_state() == "failed"
    assert called.task_state("hold") == "failed"


def test_a_run_that_a_user_fails_answers(events: EventStack) -> None:
    called = call(events, "hold")
    run_id = called.running()
    events.api.call("PATCH", f"/dags/hold/dagRuns/{run_id}", json={"state": "failed"})
    status, step = called.ended()
    assert (status, step["StepStatus"]) == ("Failed", "Failed")
    assert "hold" in step["FailureReason"]


def test_a_run_that_does_not_end_answers_by_its_deadline(events: EventStack) -> None:
    called = call(events, "late")
    status, step = called.ended()
    assert (status, step["FailureReason"]) == ("Failed", "The run has not ended within 0:00:20.")
    assert called.run_state() == "failed"


def test_arguments_that_the_form_refuses_fail_the_step(events: EventStack) -> None:
    called = call(events, "hold", {"number": "many"})
    status, step = called.ended()
    assert status == "Failed"
    assert step["FailureReason"].startswith("Airflow could not run hold")
    assert called.task_state("hold") is None


def test_the_policies_allow_every_call_of_the_runs(events: EventStack) -> None:
    called = call(events, "hold", {"number": "many"})
    called.ended()
    names = ("airflow", "airflow-events", "airflow-callbacks")
    allowed = set().union(*(allowed_actions(name) for name in names))
    recorded = events.endpoint._control("GET", "calls")["by_access_key"]["airflow"]
    assert {"sagemaker:SendPipelineExecutionStepFailure", "sqs:ReceiveMessage"} <= set(recorded)
    assert set(recorded) - {"sqs:DeleteMessageBatch"} - allowed == set()
