"""Three days of the abalone DAG as backfills, made over REST: forwards, and backwards with registration."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.project.conftest import Airflow, Run

pytestmark = pytest.mark.thorough

DAG = "abalone_train"
AFTER_THE_GATE = ("trigger_scoring", "notify_rejected", "notify_awaiting_approval")


def backfill(airflow: Airflow, first: str, last: str, conf: dict[str, Any], **options: Any) -> list[Run]:
    """Run a backfill to its end, and return its runs by date."""
    created = airflow.api.create_backfill(
        DAG, f"{first}T00:00:00Z", f"{last}T00:00:00Z", max_active_runs=3, dag_run_conf=conf, **options
    )
    return [airflow.finished(DAG, run["dag_run_id"]) for run in airflow.api.backfill_runs(created)]


def steps(airflow: Airflow, run: Run) -> set[str]:
    return {step.name for step in airflow.sagemaker.list_steps(airflow.execution_arn(run))}


@pytest.fixture(scope="module")
def plain_runs(airflow: Airflow) -> list[Run]:
    """A backfill that asks for nothing but a threshold; its first run deploys the pipeline."""
    return backfill(airflow, "2026-01-10", "2026-01-12", {"MseThreshold": 100.0})


def test_a_backfill_trains_on_each_days_partition_and_registers_nothing(
    airflow: Airflow, plain_runs: list[Run]
) -> None:
    runs = plain_runs
    assert [run.state for run in runs] == ["success"] * 3
    for run, day in zip(runs, ("2026-01-10", "2026-01-11", "2026-01-12"), strict=True):
        assert {run.tasks[task] for task in AFTER_THE_GATE} == {"skipped"}
        assert not {"AbaloneRegisterModel", "AbaloneCreateModel", "AbaloneTransform"} & steps(airflow, run)
        parameters = airflow.sagemaker.execution_parameters(airflow.execution_arn(run))
        assert parameters["InputData"].endswith(f"/abalone/data/train/dt={day}/")
        assert parameters["OutputPrefix"].endswith(f"dt={day}")
        assert parameters["RegisterModel"] == "false"
        assert float(parameters["MseThreshold"]) == 100.0
        assert airflow.api.xcom(DAG, run.run_id, "branch_on_mse", "gate")["verdict"] == "accepted"
        assert f"dt={day}" in airflow.api.xcom(DAG, run.run_id, "branch_on_mse", "result_uri")


def test_a_backfill_registers_where_its_form_asks_for_it_and_keeps_the_pinned_version(
    airflow: Airflow, plain_runs: list[Run]
) -> None:
    pinned = airflow.client("sagemaker").list_pipeline_versions(PipelineName="abalone", SortOrder="Ascending")
    version = pinned["PipelineVersionSummaries"][0]["PipelineVersionId"]
    conf = {
        "MseThreshold": 100.0,
        "RegisterInBackfill": True,
        "ModelApprovalStatus": "PendingManualApproval",
        "PipelineVersionId": version,
    }
    runs = backfill(airflow, "2026-01-20", "2026-01-22", conf, run_backwards=True)
    assert [run.state for run in runs] == ["success"] * 3
    for run in runs:
        assert run.tasks["notify_awaiting_approval"] == "success"
        assert "AbaloneRegisterModel" in steps(airflow, run)
        upserted = airflow.api.xcom(DAG, run.run_id, "upsert_pipeline")
        assert (upserted["pinned"], upserted["pipeline_version_id"]) == (True, version)
