"""What the DAGs called, as the local runtime recorded it, against the policy of Airflow's role."""

from __future__ import annotations

import pytest
import requests

from tests.e2e.project.conftest import Airflow, Scenario
from tests.iam import allowed_actions
from tests.waiting import GENEROUS_SECONDS

pytestmark = pytest.mark.thorough


@pytest.fixture
def recorded(airflow: Airflow, scenario: Scenario) -> set[str]:
    """The actions that Airflow's access key called while every scenario ran to its end, and a sweep after."""
    for name in ("accepted", "rejected", "awaiting_approval", "failed", "tuned"):
        scenario(name)
    airflow.api.unpause("sagemaker_sweep")
    run_id = airflow.api.trigger("sagemaker_sweep", {"min_age_minutes": 0})
    assert airflow.finished("sagemaker_sweep", run_id).state == "success"
    document = requests.get(
        f"{airflow.settings.runtime_url}/_local_runtime/calls", timeout=GENEROUS_SECONDS
    ).json()
    return set(document["by_access_key"]["airflow"])


def test_the_policy_of_airflows_role_allows_every_recorded_call(recorded: set[str]) -> None:
    allowed = allowed_actions("airflow") | allowed_actions("airflow-functions")
    assert recorded - allowed == set(), "add the action to docs/iam/airflow.json"


def test_the_record_covers_every_stage_of_the_dags(recorded: set[str]) -> None:
    stages = {
        "upsert": "sagemaker:CreatePipeline",
        "start": "sagemaker:StartPipelineExecution",
        "wait": "sagemaker:DescribePipelineExecution",
        "evaluate": "s3:GetObject",
        "notify": "sns:Publish",
        "cause": "logs:GetLogEvents",
        "sweep": "sagemaker:ListEndpointConfigs",
        "functions": "lambda:CreateFunction",
    }
    assert set(stages.values()) <= recorded
