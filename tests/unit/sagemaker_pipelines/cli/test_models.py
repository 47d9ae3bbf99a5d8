"""The commands for registered models, over HTTP."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from sagemaker_local_runtime.testing import LocalRuntime, local_runtime
from sagemaker_pipelines import airflow_client
from sagemaker_pipelines.aws.decisions import Decision, record_decision
from sagemaker_pipelines.aws.evidence import Evidence
from sagemaker_pipelines.cli import app
from sagemaker_pipelines.exceptions import AirflowRequestError
from sagemaker_pipelines.hooks.pipeline import SageMakerPipelineHook
from tests.unit.sagemaker_pipelines.registry import Group, comparison, connection_to

__all__ = ["local_runtime"]


@pytest.fixture
def group(local_runtime: LocalRuntime, monkeypatch: pytest.MonkeyPatch) -> Group:
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", connection_to(local_runtime))
    return Group(local_runtime)


def run(*arguments: str, exit_code: int = 0) -> Result:
    result = CliRunner().invoke(app, list(arguments), terminal_width=200)
    assert result.exit_code == exit_code, result.output
    return result


def answer(*arguments: str) -> Any:
    return json.loads(run(*arguments, "--json").stdout)


def test_the_champion_is_listed_with_its_decision_and_rejected_to_go_back(group: Group) -> None:
    first, second = group.register(), group.register()
    assert answer("approve", first)["champion"] == first
    approved = answer("approve", second, "--reason", "lower error")
    assert (approved["written"], approved["champion"]) == (True, second)
    assert ": reason: lower error; record s3://" in approved["description"]
    assert answer("approve", second)["written"] is False
    assert answer("models") == [{"group": group.name, "champion": second}]
    listed = answer("models", group.name)
    assert [(item["version"], item["champion"]) for item in listed] == [(2, "champion"), (1, "")]
    assert listed[0]["why"] == approved["description"]
    refused = run("reject", second, exit_code=1)
    assert "--replace" in refused.stderr
    assert answer("reject", second, "--replace")["champion"] == first
    assert len(group.records()) == 3
    shown = run("models", group.name).stdout.splitlines()
    assert [line.split()[:2] for line in shown if line[0].isdigit()] == [["2", "Rejected"], ["1", "Approved"]]


def test_groups_of_another_environment_are_not_listed(group: Group) -> None:
    group.sagemaker.create_model_package_group(ModelPackageGroupName="prod-dev-abalone")
    assert [item["group"] for item in answer("models")] == [group.name]


def test_two_models_are_compared_by_their_registered_metrics(group: Group) -> None:
    arns = []
    for value in (4.9, 5.2):
        report = {"regression_metrics": {"mse": {"value": value}}, "algorithm": "xgboost"}
        uri = group.runtime.put(f"metrics/{value}.json", json.dumps(report).encode())
        statistics = {"ContentType": "application/json", "S3Uri": uri}
        arns.append(group.register(ModelMetrics={"ModelQuality": {"Statistics": statistics}}))
    found = answer("compare", *arns)
    assert [model["regression_metrics.mse.value"] for model in found["models"]] == [4.9, 5.2]
    assert found["comparison"] is None
    result = run("compare", *arns)
    assert "measured on its own data" in result.stderr
    (line,) = [line for line in result.stdout.splitlines() if "mse.value" in line]
    assert line.split() == ["regression_metrics.mse.value", "4.9", "5.2"]


def test_a_recorded_comparison_on_the_same_rows_is_shown(group: Group) -> None:
    champion, challenger = group.register("Approved"), group.register()
    evidence = Evidence(
        model_package_arn=challenger, champion_arn=champion, comparison=comparison(challenger, champion)
    )
    decision = Decision(approved=True, decided_by="Ada", evidence=evidence)
    record_decision(SageMakerPipelineHook().client, decision)
    shown = run("compare", champion, challenger).stdout
    assert "Difference -0.3 [-0.4, -0.2] at 95% on 417 rows; smaller is better" in shown
    assert "The challenger wins: better by more than the margin" in shown


def test_a_report_that_was_deleted_does_not_prevent_a_comparison(group: Group) -> None:
    statistics = {"ContentType": "application/json", "S3Uri": f"s3://{group.runtime.bucket}/gone.json"}
    arn = group.register(ModelMetrics={"ModelQuality": {"Statistics": statistics}})
    assert [model["model package"] for model in answer("compare", arn, arn)["models"]] == [
        f"{group.name}/1"
    ] * 2


def test_a_package_that_does_not_exist_is_an_error(group: Group) -> None:
    arn = group.register()
    missing = f"{arn.rpartition('/')[0]}/7"
    for arguments in (("approve", missing), ("compare", arn, missing)):
        assert f"{missing} does not exist" in run(*arguments, exit_code=1).stderr


def test_a_reason_that_no_record_can_hold_is_refused(group: Group) -> None:
    arn = group.register()
    result = run("approve", arn, "--reason", "x" * 4097, exit_code=2)
    assert "4097 characters" in result.stderr
    assert group.status(arn) == "PendingManualApproval"


class Airflow:
    """An Airflow in which one run asks about a package."""

    def __init__(self, package: str, champion: str) -> None:
        numbers = comparison(package, champion)
        self.evidence = Evidence(model_package_arn=package, champion_arn=champion, comparison=numbers)
        self.mapped = -1
        self.refuses: dict[str, int] = {}
        self.answers: list[tuple[str, Any]] = []

    def call(self, method: str, path: str, *, json: Any = None, **query: Any) -> dict[str, Any]:
        if status := self.refuses.get(method):
            raise AirflowRequestError(f"Airflow answered {status}.", status)
        if method == "PATCH":
            self.answers.append((path, json))
            return {}
        assert path == "/dags/~/dagRuns/~/hitlDetails"
        assert query["subject_search"] == f"Approve {self.evidence.model_package}?"
        task = {
            "dag_id": "train",
            "dag_run_id": "run/1",
            "task_id": "approve_model",
            "map_index": self.mapped,
        }
        return {"hitl_details": [{"task_instance": task}]}

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str, *, map_index: int = -1) -> Any:
        assert (dag_id, run_id, task_id, key) == ("train", "run/1", "approve_model", "evidence")
        return self.evidence.as_document() if map_index == self.mapped else None


@pytest.fixture
def airflow(group: Group, monkeypatch: pytest.MonkeyPatch) -> Airflow:
    champion = group.register("Approved")
    airflow = Airflow(group.register(), champion)
    monkeypatch.setattr(airflow_client, "AirflowClient", lambda url, **_: airflow)
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "http://airflow")
    return airflow


@pytest.mark.parametrize(
    ("command", "status", "option"), [("approve", "Approved", "Approve"), ("reject", "Rejected", "Reject")]
)
def test_a_question_in_airflow_is_answered_and_its_numbers_are_recorded(
    group: Group, airflow: Airflow, command: str, status: str, option: str
) -> None:
    package = airflow.evidence.model_package_arn
    answered = answer(command, package, "--reason", "looked at it")
    assert (answered["status"], answered["run"]) == (status, "train run/1")
    (record,) = group.records().values()
    assert (record["dag_id"], record["run_id"]) == ("train", "run/1")
    assert record["comparison"] == airflow.evidence.as_document()["comparison"]
    assert "mse 4.9, champion 5.2" in answered["description"]
    path = "/dags/train/dagRuns/run%2F1/taskInstances/approve_model/-1/hitlDetails"
    body = {"chosen_options": [option], "params_input": {"reason": "looked at it"}}
    assert airflow.answers == [(path, body)]


def test_a_question_of_a_mapped_task_is_answered(airflow: Airflow) -> None:
    airflow.mapped = 3
    answer("approve", airflow.evidence.model_package_arn)
    ((path, _),) = airflow.answers
    assert path.endswith("/taskInstances/approve_model/3/hitlDetails")


def test_a_question_whose_champion_has_changed_is_not_answered(group: Group, airflow: Airflow) -> None:
    group.register("Approved")
    refused = run("approve", airflow.evidence.model_package_arn, exit_code=1)
    assert "the champion is" in refused.stderr
    assert (airflow.answers, group.records()) == ([], {})


def test_a_question_about_a_package_of_another_account_stays_open(group: Group, airflow: Airflow) -> None:
    package = airflow.evidence.model_package_arn
    elsewhere = package.replace("us-east-1", "eu-west-1")
    airflow.evidence = replace(airflow.evidence, model_package_arn=elsewhere)
    assert answer("approve", package)["run"] is None
    assert (airflow.answers, group.status(package)) == ([], "Approved")


def test_without_an_answer_of_airflow_nothing_is_written_unless_asked_for(
    group: Group, airflow: Airflow
) -> None:
    package = airflow.evidence.model_package_arn
    airflow.refuses = {"GET": 401}
    refused = run("approve", package, exit_code=1)
    assert "Airflow answered 401. Nothing was written." in refused.stderr
    assert group.status(package) == "PendingManualApproval"
    assert answer("approve", package, "--airflow-url", "")["status"] == "Approved"


def test_an_answer_that_airflow_refuses_leaves_the_decision_and_is_repeated(
    group: Group, airflow: Airflow
) -> None:
    package = airflow.evidence.model_package_arn
    airflow.refuses = {"PATCH": 403}
    refused = run("approve", package, exit_code=1)
    assert "The decision is recorded, but the run run/1 of train still waits" in refused.stderr
    assert group.status(package) == "Approved"
    airflow.refuses = {"PATCH": 409}  # somebody has answered in the meantime
    assert answer("approve", package)["written"] is False
    airflow.refuses = {}
    answer("approve", package)
    assert (len(airflow.answers), len(group.records())) == (1, 1)
