"""Functions, tuning, loops and clean-ups in Airflow: form, mirrors, gates, bills and events."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sagemaker_pipelines.exceptions import AirflowRequestError
from tests.e2e.mirrors.conftest import MirrorStack

pytestmark = pytest.mark.thorough

#: The DAG and the values of each run.
RUNS: dict[str, tuple[str, dict[str, Any]]] = {
    "accepted by its metric": ("tuned", {}),
    "rejected by its metric": ("tuned", {"Threshold": 0.5}),
    "accepted by a function": ("judged", {}),
    "failed in a function": ("judged", {"Mode": "fail"}),
}
ACCEPTED = {
    "Prepare": "success",
    "Tune": "success",
    "Judge": "success",
    "Each": "success",
    "Gate": "success",
    "Tidy": "success",
    "Reject": "skipped",
}
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:judge"


def log_of(mirrors: MirrorStack, dag_id: str, run_id: str, step: str) -> str:
    """Return the log of a mirror's last attempt: under load, Airflow may make another one."""
    task_id = f"steps.{step}"
    return mirrors.api.log(dag_id, run_id, task_id, mirrors.task(dag_id, run_id, task_id)["try_number"])


@pytest.fixture(scope="module")
def queue_url(mirrors: MirrorStack) -> str:
    """A queue that gets the event of each step of the DAG ``judged``."""
    sqs, events = mirrors.endpoint.client("sqs"), mirrors.endpoint.client("events")
    url = str(sqs.create_queue(QueueName="steps")["QueueUrl"])
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = {"detail-type": ["SageMaker Model Building Pipeline Execution Step Status Change"]}
    events.put_rule(Name="steps", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="steps", Targets=[{"Id": "queue", "Arn": arn}])
    return url


@pytest.fixture(scope="module")
def runs(mirrors: MirrorStack, queue_url: str) -> dict[str, tuple[str, str]]:
    """The DAG and the id of each run, which has ended; all of them deploy the same functions at once."""
    started = {name: (dag_id, mirrors.start_run(dag_id, **conf)) for name, (dag_id, conf) in RUNS.items()}
    for name, (dag_id, run_id) in started.items():
        expected = "failed" if name.startswith("failed") else "success"
        assert mirrors.ended(dag_id, run_id) == expected, name
    return started


def test_the_form_has_the_parameters_and_refuses_a_wrong_value(mirrors: MirrorStack) -> None:
    form = mirrors.api.call("GET", "/dags/tuned/details")["params"]
    assert form["Threshold"]["value"] == 20.0
    assert form["Mode"]["value"] == "good"
    with pytest.raises(AirflowRequestError, match="Threshold"):
        mirrors.start_run("tuned", Threshold="high")


def test_each_step_is_mirrored_with_its_type_its_times_and_its_counts(
    mirrors: MirrorStack, runs: dict[str, tuple[str, str]]
) -> None:
    dag_id, run_id = runs["accepted by its metric"]
    assert mirrors.mirrors(dag_id, run_id) == ACCEPTED
    operators = {
        task["task_id"]: task["operator_name"] for task in mirrors.api.task_instances(dag_id, run_id)
    }
    for name, kind in {"Tune": "Tuning", "Judge": "Lambda", "Each": "ForEach", "Tidy": "Cleanup"}.items():
        assert operators[f"steps.{name}"] == f"{kind} step"
        step = mirrors.api.xcom(dag_id, run_id, f"steps.{name}", "step")
        assert (step["type"], step["status"]) == (kind, "Succeeded")
        assert step["started"] <= step["ended"]
        assert f"Step {name}: Succeeded after" in log_of(mirrors, dag_id, run_id, name)
    assert "; 3 of 3 children succeeded" in log_of(mirrors, dag_id, run_id, "Each")


def test_a_gate_reads_the_best_metric_of_a_tuning_job(
    mirrors: MirrorStack, runs: dict[str, tuple[str, str]]
) -> None:
    for name, passed in {"accepted by its metric": True, "rejected by its metric": False}.items():
        dag_id, run_id = runs[name]
        gate = mirrors.api.xcom(dag_id, run_id, "branch_on_loss", "gate")
        assert (gate["metric"], gate["value"], gate["passed"]) == ("loss", 1.0, passed)
        assert ":hyper-parameter-tuning-job/" in gate["report_uri"]
    assert mirrors.mirrors(dag_id, run_id) == ACCEPTED | {"Tidy": "skipped", "Reject": "success"}


def test_a_gate_reads_what_a_function_has_returned(
    mirrors: MirrorStack, runs: dict[str, tuple[str, str]]
) -> None:
    dag_id, run_id = runs["accepted by a function"]
    assert mirrors.mirrors(dag_id, run_id) == ACCEPTED
    gate = mirrors.api.xcom(dag_id, run_id, "branch_on_score", "gate")
    assert (gate["metric"], gate["value"], gate["threshold"]) == ("score", 10.0, 20.0)
    assert gate["report_uri"] == FUNCTION


def test_a_function_that_fails_is_the_cause_of_the_run(
    mirrors: MirrorStack, runs: dict[str, tuple[str, str]]
) -> None:
    dag_id, run_id = runs["failed in a function"]
    states = mirrors.mirrors(dag_id, run_id)
    assert (states["Tune"], states["Judge"], states["Each"]) == ("success", "failed", "upstream_failed")
    reason = f"The Lambda function {FUNCTION} failed: ValueError: nothing to judge"
    assert reason in log_of(mirrors, dag_id, run_id, "Judge")
    record = mirrors.api.xcom(dag_id, run_id, "wait_for_pipeline", "execution")
    assert (record["cause"]["step_name"], reason in record["cause"]["reason"]) == ("Judge", True)


def test_the_record_has_what_the_jobs_of_a_tuning_job_bill(
    mirrors: MirrorStack, runs: dict[str, tuple[str, str]]
) -> None:
    record = mirrors.api.xcom(*runs["accepted by its metric"], "wait_for_pipeline", "execution")
    bills = {step["name"]: step["bill"]["instance_seconds"] for step in record["steps"] if step.get("bill")}
    assert bills.keys() == {"Prepare", "Tune"}
    assert record["instance_seconds"] == pytest.approx(sum(bills.values()), abs=0.01)
    assert {f"Look-{index}" for index in range(3)} <= {step["name"] for step in record["steps"]}


def test_every_step_of_every_type_has_sent_its_events(
    mirrors: MirrorStack, runs: dict[str, tuple[str, str]], queue_url: str
) -> None:
    sqs = mirrors.endpoint.client("sqs")
    seen = set()
    while received := sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10).get("Messages"):
        details = [json.loads(message["Body"])["detail"] for message in received]
        seen |= {(detail["stepName"], detail["stepType"], detail["currentStepStatus"]) for detail in details}
        for message in received:
            sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
    assert {
        ("Tune", "Tuning", "Succeeded"),
        ("Judge", "Lambda", "Succeeded"),
        ("Judge", "Lambda", "Failed"),
        ("Each", "ForEach", "Succeeded"),
        ("Look-2", "Lambda", "Succeeded"),
        ("Tidy", "Cleanup", "Succeeded"),
    } <= seen
