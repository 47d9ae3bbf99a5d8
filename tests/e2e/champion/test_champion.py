"""docs/examples/champion.py in a real Airflow: a first model, a worse one and a better one."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from sagemaker_pipelines.aws.comparison import Comparison
from sagemaker_pipelines.exceptions import AirflowRequestError
from stack.bootstrap import DATA_FILE, split_data, upload
from tests.e2e.deciding import EXAMPLES, airflow_of, ended, unpause
from tests.e2e.project.conftest import Airflow, Run
from tests.iam import allowed_actions
from tests.waiting import GENEROUS_SECONDS

pytestmark = pytest.mark.thorough

DAG, UNLABELLED, GROUP = "abalone_champion", "unlabelled", "compare_with_champion"
EXECUTION = ("upsert_pipeline", "start_pipeline", "wait_for_pipeline")
FEW_ROWS, HOLDOUT_ROWS = 200, 417


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    files = [Path(__file__).parent / "dags", EXAMPLES / "champion.py"]
    with airflow_of(tmp_path_factory.mktemp("champion"), files) as airflow:
        unpause(airflow, {DAG, UNLABELLED})
        yield airflow


@pytest.fixture(scope="module")
def runs(airflow: Airflow) -> dict[str, Run]:
    """The first model, of few rows, is approved; then come one of wrong labels, and one of all rows."""
    rows = split_data(DATA_FILE)["train/abalone.csv"].decode().splitlines()
    labels = [row.rpartition(",")[2] for row in rows]
    random.Random(1).shuffle(labels)
    wrong = [f"{row.rpartition(',')[0]},{label}" for row, label in zip(rows, labels, strict=True)]
    few_uri, wrong_uri = upload(
        airflow.settings, {"few/abalone.csv": _csv(rows[:FEW_ROWS]), "wrong/abalone.csv": _csv(wrong)}
    )
    airflow.api.trigger(DAG, {"InputData": few_uri, "MseThreshold": 50}, run_id="first")
    first = ended(airflow, DAG, "first")
    airflow.client("sagemaker").update_model_package(
        ModelPackageArn=_comparison(airflow, first).challenger.arn, ModelApprovalStatus="Approved"
    )
    airflow.api.trigger(DAG, {"InputData": wrong_uri, "MseThreshold": 50}, run_id="worse")
    airflow.api.trigger(DAG, {"MseThreshold": 50}, run_id="better")
    airflow.api.trigger(UNLABELLED, {}, run_id="unlabelled")
    return {
        "first": first,
        "worse": ended(airflow, DAG, "worse"),
        "better": ended(airflow, DAG, "better"),
        "unlabelled": ended(airflow, UNLABELLED, "unlabelled"),
    }


def _csv(rows: list[str]) -> bytes:
    return "".join(f"{row}\n" for row in rows).encode()


def _comparison(airflow: Airflow, run: Run) -> Comparison:
    document = airflow.api.xcom(run.dag_id, run.run_id, f"{GROUP}.compare_models", "comparison")
    return Comparison.from_document(document)


def _states(run: Run, *names: str) -> list[str]:
    return [run.tasks[f"{GROUP}.{name}"] for name in names]


def _ends(run: Run) -> dict[str, str]:
    return {name: run.tasks[name] for name in ("notify_awaiting_approval", "notify_champion_stays")}


def _messages(airflow: Airflow, run: Run) -> str:
    return "\n".join(message["Message"] for message in airflow.messages(run))


def _status(airflow: Airflow, arn: str) -> Any:
    package = airflow.client("sagemaker").describe_model_package(ModelPackageName=arn)
    return package["ModelApprovalStatus"]


def test_a_first_model_wins_without_a_comparison(airflow: Airflow, runs: dict[str, Run]) -> None:
    run = runs["first"]
    found = _comparison(airflow, run)
    assert (run.state, found.wins, found.champion, found.execution_arn) == ("success", True, None, None)
    assert found.challenger.value <= found.threshold == 50
    assert _states(run, *EXECUTION) == ["skipped"] * 3
    assert _states(run, "steps.ComparisonPrepare", "compare_models") == ["skipped", "success"]
    assert _ends(run) == {"notify_awaiting_approval": "success", "notify_champion_stays": "skipped"}


def test_a_worse_model_loses_and_stays_pending(airflow: Airflow, runs: dict[str, Run]) -> None:
    run, champion = runs["worse"], _comparison(airflow, runs["first"]).challenger.arn
    found = _comparison(airflow, run)
    assert (run.state, found.wins, found.rows) == ("success", False, HOLDOUT_ROWS)
    assert found.champion is not None
    assert found.champion.arn == champion
    assert found.challenger.value > found.champion.value
    assert _states(run, *EXECUTION, "steps.ComparisonScoreChampion") == ["success"] * 4
    assert _ends(run) == {"notify_awaiting_approval": "skipped", "notify_champion_stays": "success"}
    assert f"The champion {champion} stays: {found.reason}" in _messages(airflow, run)
    assert _status(airflow, found.challenger.arn) == "PendingManualApproval"


def test_a_better_model_wins_and_awaits_its_approval(airflow: Airflow, runs: dict[str, Run]) -> None:
    run = runs["better"]
    found = _comparison(airflow, run)
    assert (run.state, found.wins, found.rows, found.margin) == ("success", True, HOLDOUT_ROWS, 0.1)
    assert found.difference is not None
    assert found.interval is not None
    assert found.interval[0] <= found.difference <= found.interval[1] < 0
    assert [part.name for part in found.slices] == ["sex=F", "sex=I", "sex=M"]
    assert sum(part.rows for part in found.slices) == HOLDOUT_ROWS
    assert _ends(run) == {"notify_awaiting_approval": "success", "notify_champion_stays": "skipped"}
    assert found.reason in _messages(airflow, run)
    assert _status(airflow, found.challenger.arn) == "PendingManualApproval"


def test_a_holdout_without_labels_fails_the_run_before_anything_starts(
    airflow: Airflow, runs: dict[str, Run]
) -> None:
    run = runs["unlabelled"]
    assert (run.state, run.tasks["check_champion"]) == ("failed", "failed")
    assert run.tasks["start_pipeline"] == "upstream_failed"
    assert "its first row has 8 columns" in _messages(airflow, run)


def test_the_policy_of_airflow_s_role_allows_every_call(airflow: Airflow, runs: dict[str, Run]) -> None:
    document = requests.get(
        f"{airflow.settings.runtime_url}/_local_runtime/calls", timeout=GENEROUS_SECONDS
    ).json()
    recorded = set(document["by_access_key"]["airflow"])
    assert "sagemaker:DescribeModelPackage" in recorded
    assert recorded - allowed_actions("airflow") == set(), "add the action to docs/iam/airflow.json"


def test_a_run_that_asks_for_approved_is_refused_when_it_is_triggered(airflow: Airflow) -> None:
    with pytest.raises(AirflowRequestError, match="PendingManualApproval"):
        airflow.api.trigger(DAG, {"ModelApprovalStatus": "Approved"}, run_id="approved")
