"""docs/examples/approval.py in a real Airflow, with answers through its REST API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stack.settings import ROOT
from tests.e2e.deciding import APPROVE, EXAMPLES, airflow_of, answer, ended, question, unpause
from tests.e2e.project.conftest import Airflow
from tests.waiting import patiently

pytestmark = pytest.mark.thorough

DAG = "abalone_approval"
DAGS = {DAG, "unanswered", "ruled", "abalone_score"}


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    files = [Path(__file__).parent / "dags", EXAMPLES / "approval.py", ROOT / "dags" / "abalone_score.py"]
    with airflow_of(tmp_path_factory.mktemp("approval"), files) as airflow:
        unpause(airflow, DAGS)
        # What the rule approves becomes the champion, and would supersede the questions that are open then.
        airflow.api.trigger("ruled", {}, run_id="only")
        ended(airflow, "ruled", "only")
        for dag_id, run_id in ((DAG, "first"), (DAG, "second"), ("unanswered", "only")):
            airflow.api.trigger(dag_id, {}, run_id=run_id)
        yield airflow


def clear(airflow: Airflow, run_id: str) -> None:
    body = {"dry_run": False, "dag_run_id": run_id, "task_ids": [APPROVE], "only_failed": False}
    patiently(
        lambda: airflow.api.call("POST", f"/dags/{DAG}/clearTaskInstances", json=body), f"{run_id} to clear"
    )


def package(airflow: Airflow, dag_id: str, run_id: str) -> dict[str, Any]:
    """Return the model package of a run, as the registry has it."""
    gate = airflow.api.xcom(dag_id, run_id, "branch_on_mse", "gate")
    found: dict[str, Any] = airflow.client("sagemaker").describe_model_package(
        ModelPackageName=gate["model_package_arn"]
    )
    del found["ResponseMetadata"]
    return found


def test_two_open_questions_are_answered_and_only_one_model_becomes_champion(airflow: Airflow) -> None:
    asked = question(airflow.api, DAG, "first")
    assert asked["subject"].startswith("Approve abalone/")
    assert "| mse | " in asked["body"]
    question(airflow.api, DAG, "second")
    answer(airflow.stack, DAG, "first", "Approve", "lower error")
    first = ended(airflow, DAG, "first")
    assert (first.state, first.tasks["trigger_scoring"]) == ("success", "success")
    champion = package(airflow, DAG, "first")
    assert champion["ModelApprovalStatus"] == "Approved"
    assert "; reason: lower error; run abalone_approval first; " in champion["ApprovalDescription"]

    answer(airflow.stack, DAG, "second", "Approve")
    second = ended(airflow, DAG, "second")
    assert (second.state, second.tasks[APPROVE]) == ("failed", "failed")
    assert package(airflow, DAG, "second")["ModelApprovalStatus"] == "PendingManualApproval"
    tries = patiently(
        lambda: airflow.api.call("GET", f"/dags/{DAG}/dagRuns/second/taskInstances/{APPROVE}"), "the task"
    )["try_number"]
    log = airflow.api.log(DAG, "second", APPROVE, tries)
    assert f"the champion is {champion['ModelPackageArn']} now" in log

    clear(airflow, "second")
    question(airflow.api, DAG, "second")
    answer(airflow.stack, DAG, "second", "Reject", "older")
    second = ended(airflow, DAG, "second")
    assert (second.state, second.tasks["trigger_scoring"]) == ("success", "skipped")
    assert package(airflow, DAG, "second")["ModelApprovalStatus"] == "Rejected"

    # A decision that has been made is followed, and nothing is asked or written.
    clear(airflow, "first")
    assert ended(airflow, DAG, "first").state == "success"
    assert package(airflow, DAG, "first") == champion

    scored = ended(airflow, "abalone_score", f"{DAG}__{airflow.execution_arn(first).rpartition('/')[2]}")
    assert scored.state == "success"
    told = "\n".join(message["Message"] for message in airflow.messages(first))
    assert "/runs/first/tasks/approve_model/required_actions" in told


def test_without_an_answer_the_model_stays_pending_and_nothing_is_scored(airflow: Airflow) -> None:
    run = ended(airflow, "unanswered", "only")
    assert (run.state, run.tasks[APPROVE], run.tasks["trigger_scoring"]) == ("success", "success", "skipped")
    assert package(airflow, "unanswered", "only")["ModelApprovalStatus"] == "PendingManualApproval"


def test_the_rule_decides_by_the_gate_and_says_so(airflow: Airflow) -> None:
    assert ended(airflow, "ruled", "only").state == "success"
    found = package(airflow, "ruled", "only")
    assert found["ModelApprovalStatus"] == "Approved"
    assert found["ApprovalDescription"].startswith("Approved by the rule of the DAG at ")
