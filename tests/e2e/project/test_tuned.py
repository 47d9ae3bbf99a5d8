"""The DAG that tunes, checks, deploys and tries out a model, with every heavy type of step."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.project.conftest import Airflow, Run, Scenario

pytestmark = pytest.mark.thorough
ENDPOINT = "abalone-tuned"


@pytest.fixture(scope="module")
def tuned(scenario: Scenario) -> Run:
    return scenario("tuned")


def record(airflow: Airflow, run: Run) -> Any:
    return airflow.api.xcom(run.dag_id, run.run_id, "wait_for_pipeline", "execution")


def test_every_step_is_drawn_and_succeeds(airflow: Airflow, tuned: Run) -> None:
    assert tuned.state == "success"
    steps = {task.partition(".")[2]: state for task, state in tuned.tasks.items() if "." in task}
    assert steps.pop("AbaloneRMSEFail") == "skipped"
    assert set(steps.values()) == {"success"}
    types = {step["type"] for step in record(airflow, tuned)["steps"]}
    assert {"Tuning", "QualityCheck", "EndpointConfig", "Endpoint", "Lambda"} <= types


def test_the_gate_is_the_best_error_of_the_tuning_job(airflow: Airflow, tuned: Run) -> None:
    gate = airflow.api.xcom(tuned.dag_id, tuned.run_id, "branch_on_validation_rmse", "gate")
    (tuning,) = airflow.client("sagemaker").list_hyper_parameter_tuning_jobs()[
        "HyperParameterTuningJobSummaries"
    ]
    described = airflow.client("sagemaker").describe_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=tuning["HyperParameterTuningJobName"]
    )
    best = described["BestTrainingJob"]["FinalHyperParameterTuningJobObjectiveMetric"]
    assert described["TrainingJobStatusCounters"]["Completed"] == 4
    assert gate["value"] == pytest.approx(best["Value"])
    assert gate["passed"] is True


def test_the_package_has_the_baseline_for_the_next_model(airflow: Airflow, tuned: Run) -> None:
    sagemaker = airflow.client("sagemaker")
    (package,) = sagemaker.list_model_packages(ModelPackageGroupName=ENDPOINT)["ModelPackageSummaryList"]
    described = sagemaker.describe_model_package(ModelPackageName=package["ModelPackageArn"])
    baseline = described["DriftCheckBaselines"]["ModelQuality"]
    statistics = airflow.sagemaker.read_object(baseline["Statistics"]["S3Uri"])
    assert b"rmse" in statistics
    assert baseline["Constraints"]["S3Uri"].endswith("constraints.json")


def test_the_endpoint_answers_as_the_function_saw_it(airflow: Airflow, tuned: Run) -> None:
    answer = airflow.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=ENDPOINT, ContentType="text/csv", Accept="text/csv", Body=",".join(["0"] * 10)
    )
    steps = airflow.sagemaker.list_steps(airflow.execution_arn(tuned))
    (smoke_test,) = [step for step in steps if step.name == "AbaloneSmokeTest"]
    assert float(smoke_test.output_parameters["Rings"]) == pytest.approx(float(answer["Body"].read()))
