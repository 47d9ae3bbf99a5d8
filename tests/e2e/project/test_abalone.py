"""The abalone DAGs through the real scheduler, triggerer and API server."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost  # noqa: TID253 - the tests recompute what the model says

from sagemaker_pipelines.aws.gate import read_gate
from stack.bootstrap import DATA_FILE, split_data
from stack.predictions import predictions_of
from tests.e2e.project.conftest import Airflow, Run, Scenario

ROWS = split_data(DATA_FILE)["holdout/holdout.csv"].decode().splitlines()
NOT_TAKEN = {"trigger_scoring", "notify_rejected", "notify_awaiting_approval"}


def branches(run: Run) -> dict[str, str]:
    return {task_id: run.tasks[task_id] for task_id in NOT_TAKEN}


def only(task_id: str) -> dict[str, str]:
    return dict.fromkeys(NOT_TAKEN, "skipped") | {task_id: "success"}


MIRRORS = (
    "AbaloneProcess",
    "AbaloneTrain",
    "AbaloneEval",
    "AbaloneMSECond",
    "AbaloneRegisterCond",
    "AbaloneRegisterModel",
    "AbaloneCreateModel",
    "AbaloneTransform",
    "AbaloneMSEFail",
)


def mirrors(run: Run) -> list[str]:
    assert run.tasks["steps.steps_ended"] == "success"
    return [run.tasks[f"steps.{name}"] for name in MIRRORS]


def statuses(airflow: Airflow, run: Run) -> dict[str, str]:
    return {step.name: step.status for step in airflow.sagemaker.list_steps(airflow.execution_arn(run))}


def resource_arn(airflow: Airflow, run: Run, step_name: str) -> str:
    steps = {step.name: step for step in airflow.sagemaker.list_steps(airflow.execution_arn(run))}
    return str(steps[step_name].arn)


def resource(airflow: Airflow, run: Run, step_name: str) -> str:
    """Return the name of the job or resource that a step made."""
    return resource_arn(airflow, run, step_name).rpartition("/")[2]


def output(airflow: Airflow, run: Run, step_name: str, name: str) -> str:
    job = airflow.client("sagemaker").describe_processing_job(
        ProcessingJobName=resource(airflow, run, step_name)
    )
    outputs = job["ProcessingOutputConfig"]["Outputs"]
    return str(next(o["S3Output"]["S3Uri"] for o in outputs if o["OutputName"] == name))


def table(airflow: Airflow, prefix: str) -> Any:
    """Return the numbers of all CSV files below a prefix."""
    text = b"".join(airflow.sagemaker.read_object(uri) for uri in airflow.sagemaker.data_objects(prefix))
    return np.loadtxt(io.BytesIO(text), delimiter=",", ndmin=2)


def model_of(airflow: Airflow, run: Run, folder: Path) -> xgboost.Booster:
    """Return the model that the execution trained, from its artifact in S3."""
    job = airflow.client("sagemaker").describe_training_job(
        TrainingJobName=resource(airflow, run, "AbaloneTrain")
    )
    artifact = airflow.sagemaker.read_object(job["ModelArtifacts"]["S3ModelArtifacts"])
    with tarfile.open(fileobj=io.BytesIO(artifact)) as archive:
        archive.extractall(folder, filter="data")
    booster = xgboost.Booster()
    # As bytes: the file has no extension to tell its format by.
    booster.load_model(bytearray((folder / "xgboost-model").read_bytes()))
    return booster


def scoring_run(airflow: Airflow, run: Run) -> Run:
    run_id = airflow.api.xcom("abalone_train", run.run_id, "trigger_scoring", "trigger_run_id")
    return airflow.finished("abalone_score", run_id)


class TestAccepted:
    def test_the_run_succeeds_and_only_scoring_follows(self, scenario: Scenario) -> None:
        run = scenario("accepted")
        assert run.state == "success"
        assert branches(run) == only("trigger_scoring")

    def test_every_step_but_the_fail_step_succeeded(self, airflow: Airflow, scenario: Scenario) -> None:
        assert statuses(airflow, scenario("accepted")) == dict.fromkeys(
            [
                "AbaloneProcess",
                "AbaloneTrain",
                "AbaloneEval",
                "AbaloneMSECond",
                "AbaloneRegisterCond",
                "AbaloneRegisterModel",
                "AbaloneCreateModel",
                "AbaloneTransform",
            ],
            "Succeeded",
        )

    def test_the_metric_is_that_of_the_model_on_the_test_split_in_s3(
        self, airflow: Airflow, scenario: Scenario, tmp_path: Path
    ) -> None:
        run = scenario("accepted")
        test = table(airflow, output(airflow, run, "AbaloneProcess", "test"))
        predicted = model_of(airflow, run, tmp_path).predict(xgboost.DMatrix(test[:, 1:]))
        metric = airflow.api.xcom(run.dag_id, run.run_id, "branch_on_mse", "gate")["value"]
        assert metric == pytest.approx(np.mean((predicted - test[:, 0]) ** 2), rel=1e-5)
        assert metric < 6.0

    def test_every_step_is_a_task_that_used_no_worker(self, airflow: Airflow, scenario: Scenario) -> None:
        run = scenario("accepted")
        assert mirrors(run) == ["success"] * 8 + ["skipped"]
        tasks = airflow.api.task_instances(run.dag_id, run.run_id)
        steps = [task for task in tasks if task["task_id"].startswith("steps.")]
        assert {task["hostname"] for task in steps} <= {"", None}
        step = airflow.api.xcom(run.dag_id, run.run_id, "steps.AbaloneTrain", "step")
        assert (step["type"], step["status"], step["arn"]) == (
            "Training",
            "Succeeded",
            resource_arn(airflow, run, "AbaloneTrain"),
        )

    def test_scoring_predicts_every_row_of_the_batch_with_the_model_of_this_run(
        self, airflow: Airflow, scenario: Scenario, tmp_path: Path
    ) -> None:
        run = scenario("accepted")
        scored = scoring_run(airflow, run)
        assert scored.state == "success"
        predictions = predictions_of(airflow.sagemaker, airflow.execution_arn(scored))
        assert predictions is not None
        features = table(airflow, output(airflow, run, "AbaloneProcess", "batch"))
        expected = model_of(airflow, run, tmp_path).predict(xgboost.DMatrix(features))
        assert len(predictions.values) == len(ROWS)
        assert predictions.values == pytest.approx(expected.tolist(), rel=1e-5)

    def test_scoring_used_the_package_that_this_run_registered(
        self, airflow: Airflow, scenario: Scenario
    ) -> None:
        run = scenario("accepted")
        package = resource_arn(airflow, run, "AbaloneRegisterModel")
        scored = scoring_run(airflow, run)
        parameters = airflow.sagemaker.execution_parameters(airflow.execution_arn(scored))
        assert parameters["ModelPackageArn"] == package

    def test_scoring_ends_with_the_uri_and_the_row_count(self, airflow: Airflow, scenario: Scenario) -> None:
        scored = scoring_run(airflow, scenario("accepted"))
        result = airflow.api.xcom(scored.dag_id, scored.run_id, "check_report")
        assert result["rows"] == len(ROWS)
        assert airflow.sagemaker.has_data(result["predictions"])

    def test_nothing_is_notified(self, airflow: Airflow, scenario: Scenario) -> None:
        assert airflow.messages(scenario("accepted")) == []


class TestRejected:
    def test_the_run_succeeds_and_only_the_notification_follows(self, scenario: Scenario) -> None:
        run = scenario("rejected")
        assert run.state == "success"
        assert branches(run) == only("notify_rejected")

    def test_the_fail_step_failed_and_no_model_was_registered(
        self, airflow: Airflow, scenario: Scenario
    ) -> None:
        run = scenario("rejected")
        seen = statuses(airflow, run)
        assert seen["AbaloneMSEFail"] == "Failed"
        assert not {"AbaloneRegisterModel", "AbaloneCreateModel", "AbaloneTransform"} & set(seen)
        record = airflow.api.xcom(run.dag_id, run.run_id, "wait_for_pipeline", "execution")
        assert record["rejected"] is True
        assert record["cause"]["reason"] == "Execution failed due to MSE > 3.0"

    def test_the_fail_step_is_green_and_says_why(self, airflow: Airflow, scenario: Scenario) -> None:
        run = scenario("rejected")
        assert mirrors(run) == ["success"] * 4 + ["skipped"] * 4 + ["success"]
        log = airflow.api.log(run.dag_id, run.run_id, "steps.AbaloneMSEFail")
        assert "The gate rejected the model, so the run goes on: Execution failed due to MSE > 3.0" in log

    def test_s3_holds_the_report_and_no_predictions(self, airflow: Airflow, scenario: Scenario) -> None:
        execution_arn = airflow.execution_arn(scenario("rejected"))
        prefix = f"s3://{airflow.settings.bucket}/abalone/executions/{execution_arn.rpartition('/')[2]}/"
        objects = [uri.removeprefix(prefix) for uri in airflow.sagemaker.data_objects(prefix)]
        assert "evaluation/evaluation.json" in objects
        assert not [name for name in objects if name.startswith("transform/")]

    def test_the_notification_has_metric_threshold_message_and_links(
        self, airflow: Airflow, scenario: Scenario
    ) -> None:
        run = scenario("rejected")
        (message,) = airflow.messages(run)
        verdict = read_gate(airflow.sagemaker, airflow.execution_arn(run))
        assert message["Subject"] == f"abalone rejected: MSE {verdict.value:.6g}"
        assert (
            f"MSE {verdict.value:.6g}, threshold 3. Execution failed due to MSE > 3.0" in message["Message"]
        )
        assert airflow.execution_arn(run) in message["Message"]
        assert f"{airflow.settings.airflow_url}/dags/abalone_train/runs/" in message["Message"]


@pytest.mark.thorough
class TestAwaitingApproval:
    def test_the_run_succeeds_and_only_the_notification_follows(self, scenario: Scenario) -> None:
        run = scenario("awaiting_approval")
        assert run.state == "success"
        assert branches(run) == only("notify_awaiting_approval")

    def test_the_package_is_registered_and_pending(self, airflow: Airflow, scenario: Scenario) -> None:
        run = scenario("awaiting_approval")
        arn = airflow.api.xcom(run.dag_id, run.run_id, "branch_on_mse", "gate")["model_package_arn"]
        package = airflow.client("sagemaker").describe_model_package(ModelPackageName=arn)
        assert package["ModelApprovalStatus"] == "PendingManualApproval"

    def test_the_notification_names_the_package_to_approve(
        self, airflow: Airflow, scenario: Scenario
    ) -> None:
        run = scenario("awaiting_approval")
        (message,) = airflow.messages(run)
        arn = airflow.api.xcom(run.dag_id, run.run_id, "branch_on_mse", "gate")["model_package_arn"]
        assert message["Subject"] == "abalone awaiting approval"
        assert f"Approve {arn}" in message["Message"]

    def test_nothing_is_scored(self, airflow: Airflow, scenario: Scenario) -> None:
        run = scenario("awaiting_approval")
        execution_id = airflow.execution_arn(run).rpartition("/")[2]
        assert not [r for r in airflow.api.runs("abalone_score") if execution_id in r["dag_run_id"]]


@pytest.mark.thorough
class TestFailed:
    def test_the_run_fails_in_the_wait_and_nothing_follows(self, scenario: Scenario) -> None:
        run = scenario("failed")
        assert run.state == "failed"
        assert run.tasks["wait_for_pipeline"] == "failed"
        assert branches(run) == dict.fromkeys(NOT_TAKEN, "upstream_failed")

    def test_the_failed_step_is_red_with_the_end_of_its_log(
        self, airflow: Airflow, scenario: Scenario
    ) -> None:
        run = scenario("failed")
        assert mirrors(run) == ["failed"] + ["upstream_failed"] * 8
        assert "line 2, column 2" in airflow.api.log(run.dag_id, run.run_id, "steps.AbaloneProcess")

    def test_the_notification_names_the_step_and_the_bad_cell(
        self, airflow: Airflow, scenario: Scenario
    ) -> None:
        run = scenario("failed")
        (message,) = airflow.messages(run)
        assert message["Subject"] == "abalone_train failed in wait_for_pipeline"
        assert "AbaloneProcess" in message["Message"]
        assert "line 2, column 2" in message["Message"]
        assert airflow.execution_arn(run) in message["Message"]


def test_a_value_that_does_not_fit_the_form_is_refused_before_anything_starts(airflow: Airflow) -> None:
    before = len(airflow.api.runs("abalone_train"))
    with pytest.raises(Exception, match=r"answered 400 .*MseThreshold"):
        airflow.api.trigger("abalone_train", {"MseThreshold": "low"})
    assert len(airflow.api.runs("abalone_train")) == before


@pytest.mark.thorough
def test_a_name_that_the_form_does_not_have_is_refused_before_anything_starts(airflow: Airflow) -> None:
    # The day has no partition, and the run does not wait for it first.
    conf = {
        "MseTreshold": 3,
        "IntervalStart": "2026-05-01T00:00:00Z",
        "IntervalEnd": "2026-05-02T00:00:00Z",
    }
    run = airflow.finished("abalone_train", airflow.api.trigger("abalone_train", conf))
    assert (run.state, run.tasks["select_inputs"]) == ("failed", "failed")
    assert run.tasks["start_pipeline"] == "upstream_failed"
    (message,) = airflow.messages(run)
    assert "triggered with MseTreshold, which the form does not have" in message["Message"]


@pytest.mark.thorough
def test_without_a_given_package_the_newest_approved_one_is_scored(
    airflow: Airflow, scenario: Scenario
) -> None:
    scenario("accepted")
    scenario("awaiting_approval")
    approved = airflow.client("sagemaker").list_model_packages(
        ModelPackageGroupName="abalone",
        ModelApprovalStatus="Approved",
        SortBy="CreationTime",
        SortOrder="Descending",
    )["ModelPackageSummaryList"]
    run = airflow.finished("abalone_score", airflow.api.trigger("abalone_score", {}))
    assert run.state == "success"
    chosen, arn = airflow.api.xcom(run.dag_id, run.run_id, "choose_inputs"), approved[0]["ModelPackageArn"]
    assert chosen["ModelPackageArn"] == arn
    assert chosen["reason"].startswith(
        f"Score with {arn}, the champion (newest Approved package) of abalone."
    )


@pytest.mark.thorough
def test_a_package_that_was_rejected_or_deleted_meanwhile_is_not_scored(
    airflow: Airflow, scenario: Scenario
) -> None:
    scenario("accepted")
    sagemaker = airflow.client("sagemaker")
    packages = [
        sagemaker.create_model_package(ModelPackageGroupName="abalone", ModelApprovalStatus="Approved")
        for _ in range(2)
    ]
    rejected, deleted = (package["ModelPackageArn"] for package in packages)
    sagemaker.update_model_package(ModelPackageArn=rejected, ModelApprovalStatus="Rejected")
    sagemaker.delete_model_package(ModelPackageName=deleted)
    said = {rejected: f"{rejected} is Rejected", deleted: f"The model package {deleted} does not exist"}
    run_ids = [airflow.api.trigger("abalone_score", {"ModelPackageArn": arn}) for arn in said]
    for run_id, text in zip(run_ids, said.values(), strict=True):
        run = airflow.finished("abalone_score", run_id)
        assert (run.state, run.tasks["choose_inputs"]) == ("failed", "failed")
        assert run.tasks["start_pipeline"] == "upstream_failed"
        assert text in airflow.api.log("abalone_score", run_id, "choose_inputs")
