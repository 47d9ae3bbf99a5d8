"""The branch."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import botocore.session
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from sagemaker_pipelines.aws.gate import GateReading
from sagemaker_pipelines.aws.outcome import ExecutionOutcome
from sagemaker_pipelines.exceptions import EvaluationError, ExecutionStoppedError
from sagemaker_pipelines.hooks.pipeline import SageMakerPipelineHook
from sagemaker_pipelines.operators.evaluation import VERDICTS, SageMakerMetricBranchOperator
from tests.unit.sagemaker_pipelines.samples import ARN, BUCKET, TaskInstance
from tests.unit.sagemaker_pipelines.stand_in import StandIn

PACKAGE = "arn:aws:sagemaker:us-east-1:123456789012:model-package/dev-gated/1"


class Judged(StandIn):
    """A hook whose execution has an outcome, a metric and perhaps a model package."""

    def __init__(self, *, passed: bool | Exception, rejected: bool | Exception, approval: str | None) -> None:
        super().__init__()
        self.passed = passed
        self.rejected = rejected
        self.approval = approval

    def execution_outcome(
        self, pipeline_execution_arn: str, *, rejection_steps: Any = None, **_: Any
    ) -> ExecutionOutcome:
        if isinstance(self.rejected, Exception):
            raise self.rejected
        status = "Failed" if self.rejected else "Succeeded"
        return ExecutionOutcome(
            pipeline_execution_arn=pipeline_execution_arn, status=status, rejected=self.rejected
        )

    def read_gate(self, pipeline_execution_arn: str, *, condition_step: str | None = None) -> GateReading:
        if isinstance(self.passed, Exception):
            raise self.passed
        return GateReading(
            metric="mse",
            value=4.9 if self.passed else 9.0,
            threshold=6.0,
            operator="LessThanOrEqualTo",
            passed=self.passed,
            report_uri="s3://artifacts/evaluation.json",
        )

    def registered_model_package(self, pipeline_execution_arn: str) -> str | None:
        return PACKAGE if self.approval else None

    def approval_status(self, model_package_name: str) -> str:
        assert model_package_name == PACKAGE
        return str(self.approval)


def branch(
    monkeypatch: pytest.MonkeyPatch,
    *,
    passed: bool | Exception = True,
    rejected: bool | Exception = False,
    approval: str | None = None,
    ti: TaskInstance | None = None,
    dag_run: Any = None,
    s3: Any = None,
    **arguments: Any,
) -> Any:
    task = SageMakerMetricBranchOperator(
        task_id="branch",
        pipeline_execution_arn=ARN,
        accepted="score",
        rejected=["notify", "report"],
        **arguments,
    )
    task.__dict__["hook"] = Judged(passed=passed, rejected=rejected, approval=approval)
    task.hook.client.__dict__["s3"] = s3
    monkeypatch.setattr(task, "do_branch", lambda _, followed: followed)
    return task.execute({"ti": ti or TaskInstance(), "dag_run": dag_run})  # type: ignore[typeddict-item]


@pytest.mark.parametrize(
    ("passed", "rejected", "followed"),
    [
        (True, False, "score"),
        (False, True, ["notify", "report"]),
        (True, True, ["notify", "report"]),
        (False, False, ["notify", "report"]),
    ],
)
def test_only_a_metric_that_passes_in_an_execution_that_was_not_rejected_is_accepted(
    monkeypatch: pytest.MonkeyPatch, passed: bool, rejected: bool, followed: Any
) -> None:
    assert branch(monkeypatch, passed=passed, rejected=rejected) == followed


@pytest.mark.parametrize(
    ("passed", "rejected", "logged"), [(True, True, 1), (False, False, 1), (True, False, 0)]
)
def test_a_disagreement_is_logged_as_an_error(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    passed: bool,
    rejected: bool,
    logged: int,
) -> None:
    branch(monkeypatch, passed=passed, rejected=rejected)
    assert capsys.readouterr().out.count("The stricter verdict is followed") == logged


@pytest.mark.parametrize(
    ("approval", "awaiting", "followed", "verdict"),
    [
        ("Approved", "ask", "score", "accepted"),
        ("PendingManualApproval", "ask", "ask", "awaiting_approval"),
        ("PendingManualApproval", None, "score", "awaiting_approval"),
        ("Rejected", "ask", ["notify", "report"], "rejected"),
        (None, "ask", "score", "accepted"),
    ],
)
def test_the_registered_model_packages_approval_decides_among_accepted_models(
    monkeypatch: pytest.MonkeyPatch, approval: str | None, awaiting: str | None, followed: Any, verdict: str
) -> None:
    ti = TaskInstance()
    assert branch(monkeypatch, approval=approval, ti=ti, awaiting_approval=awaiting) == followed
    assert ti.pushed["gate"]["verdict"] == verdict


@pytest.mark.parametrize("status", ["Archived", "", "approved"])
def test_an_approval_status_that_is_not_known_accepts_nothing(
    monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    monkeypatch.setattr(Judged, "registered_model_package", lambda *_: PACKAGE)
    with pytest.raises(AirflowFailException, match=f"approval status '{status}'.*No model is accepted"):
        branch(monkeypatch, approval=status)


def test_the_verdicts_have_exactly_the_approval_statuses_that_botocore_knows() -> None:
    service = botocore.session.get_session().get_service_model("sagemaker")
    assert sorted(VERDICTS) == sorted(service.shape_for("ModelApprovalStatus").enum)


def test_an_approved_package_of_a_rejected_execution_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert branch(monkeypatch, passed=False, rejected=True, approval="Approved") == ["notify", "report"]


def test_metric_threshold_and_verdict_are_pushed(monkeypatch: pytest.MonkeyPatch) -> None:
    ti = TaskInstance()
    branch(monkeypatch, approval="Approved", ti=ti)
    assert ti.pushed["gate"] == {
        "version": 1,
        "pipeline_execution_arn": ARN,
        "metric": "mse",
        "value": 4.9,
        "threshold": 6.0,
        "operator": "LessThanOrEqualTo",
        "passed": True,
        "verdict": "accepted",
        "report_uri": "s3://artifacts/evaluation.json",
        "model_package_arn": PACKAGE,
    }


@pytest.mark.parametrize(
    "errors",
    [{"passed": EvaluationError("no report")}, {"rejected": ExecutionStoppedError(ARN, "Stopped")}],
)
def test_what_cannot_be_read_fails_closed_and_without_a_retry(
    monkeypatch: pytest.MonkeyPatch, errors: dict[str, Any]
) -> None:
    ti = TaskInstance()
    with pytest.raises(AirflowFailException):
        branch(monkeypatch, ti=ti, **errors)
    assert "gate" not in ti.pushed


def test_the_execution_is_a_template() -> None:
    assert "pipeline_execution_arn" in SageMakerMetricBranchOperator.template_fields


BACKFILL_RUN = SimpleNamespace(
    run_type="backfill",
    conf=None,
    dag_id="train",
    run_id="backfill__2026-01-01",
    data_interval_start=datetime(2026, 1, 1, tzinfo=UTC),
    data_interval_end=datetime(2026, 1, 2, tzinfo=UTC),
)


@pytest.mark.parametrize(
    ("asked", "followed"), [(False, []), ("False", []), (True, "score"), ("True", "score")]
)
def test_nothing_follows_in_a_backfill_unless_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, asked: bool | str, followed: Any
) -> None:
    assert branch(monkeypatch, dag_run=BACKFILL_RUN, follow_in_backfill=asked) == followed


def test_a_scheduled_run_follows_the_branch(monkeypatch: pytest.MonkeyPatch) -> None:
    assert branch(monkeypatch, dag_run=SimpleNamespace(run_type="scheduled", conf=None)) == "score"


def test_the_result_of_a_date_is_replaced_by_its_next_run(
    monkeypatch: pytest.MonkeyPatch, hook: SageMakerPipelineHook
) -> None:
    uri = f"s3://{BUCKET}/results/2026-01-01.json"
    for passed in (True, False):
        branch(monkeypatch, passed=passed, dag_run=BACKFILL_RUN, s3=hook.client.s3, result_uri=uri)
    assert len(hook.client.s3.list_objects_v2(Bucket=BUCKET, Prefix="results/")["Contents"]) == 1
    assert json.loads(hook.client.read_object(uri)) == {
        "version": 1,
        "metric": "mse",
        "value": 9.0,
        "threshold": 6.0,
        "operator": "LessThanOrEqualTo",
        "passed": False,
        "verdict": "rejected",
        "report_uri": "s3://artifacts/evaluation.json",
        "model_package_arn": None,
        "pipeline_execution_arn": ARN,
        "dag_id": "train",
        "run_id": "backfill__2026-01-01",
        "data_interval_start": "2026-01-01T00:00:00+00:00",
        "data_interval_end": "2026-01-02T00:00:00+00:00",
    }


def test_a_result_uri_that_names_no_object_fails_the_task(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AirflowFailException, match="'s3://artifacts/results/' is not the URI of an object"):
        branch(monkeypatch, dag_run=BACKFILL_RUN, result_uri="s3://artifacts/results/")
