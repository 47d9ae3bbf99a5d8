"""Bounds that could not hold are refused before the start."""

from __future__ import annotations

import logging
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sagemaker_pipelines.aws.budget import Bounds, Budget, check_bounds
from sagemaker_pipelines.aws.prices import Price, Prices
from sagemaker_pipelines.aws.steps import Step
from sagemaker_pipelines.exceptions import ParameterError

SECONDS, COST = Bounds(max_instance_seconds=60), Bounds(max_cost=1)
UNCOUNTED = {"Name": "Cluster", "Type": "EMR", "Arguments": {}}


@pytest.fixture
def client(tmp_path: Path) -> Any:
    """A client whose prices have two currencies."""
    path = tmp_path / "prices.toml"
    Prices(
        Price(
            region="us-east-1",
            instance=instance,
            component="Training",
            price_per_hour=1.0,
            date=date(2026, 11, 20),
            currency=currency,
        )
        for instance, currency in (("ml.m5.large", "USD"), ("ml.c5.large", "EUR"), ("ml.c5.xlarge", "USD"))
    ).save(path)
    return SimpleNamespace(region="us-east-1", settings=SimpleNamespace(prices_file=str(path)))


def training(name: str, *instances: str) -> dict[str, Any]:
    groups = [{"InstanceType": instance, "InstanceCount": 1} for instance in instances]
    return {"Name": name, "Type": "Training", "Arguments": {"ResourceConfig": {"InstanceGroups": groups}}}


def check(client: Any, bounds: Bounds, *steps: dict[str, Any], selected: list[str] | None = None) -> None:
    definition = {"Version": "2020-12-01", "Parameters": [], "Steps": list(steps)}
    check_bounds(client, bounds, definition, {}, selected_steps=selected)


@pytest.mark.parametrize("bounds", [SECONDS, COST])
def test_a_bound_on_jobs_that_are_not_counted_is_refused(client: Any, bounds: Bounds) -> None:
    with pytest.raises(ParameterError, match="what the EMR step Cluster bills is not counted"):
        check(client, bounds, UNCOUNTED)
    check(client, bounds, training("Train", "ml.m5.large"), UNCOUNTED, selected=["Train"])
    check(client, Bounds(), UNCOUNTED)


def test_a_bound_on_the_cost_in_several_currencies_is_refused(client: Any) -> None:
    steps = training("A", "ml.m5.large"), training("B", "ml.c5.large")
    with pytest.raises(ParameterError, match=r"currencies .*ml\.m5\.large for Training in USD, ml\.c5"):
        check(client, COST, *steps)
    check(client, SECONDS, *steps)
    check(client, COST, *steps, selected=["A"])


def test_a_bound_on_the_cost_of_a_cluster_of_several_types_is_refused(client: Any) -> None:
    with pytest.raises(ParameterError, match=r"step A uses instances of several types \(ml\.m5\.large and"):
        check(client, COST, training("A", "ml.m5.large", "ml.c5.xlarge"))
    check(client, COST, training("A", "ml.m5.large", "ml.m5.large"))


def test_a_bound_on_the_cost_of_a_tuning_job_of_several_types_is_refused(client: Any) -> None:
    clusters = [{"InstanceType": f"ml.{each}.large", "InstanceCount": 1} for each in ("m5", "c5")]
    definitions = [{"ResourceConfig": cluster} for cluster in clusters]
    tuning = {"Name": "Tune", "Type": "Tuning", "Arguments": {"TrainingJobDefinitions": definitions}}
    with pytest.raises(ParameterError, match=r"step Tune has no single instance type"):
        check(client, COST, tuning)
    check(client, SECONDS, tuning)


def test_a_bound_on_serverless_training_is_refused(client: Any) -> None:
    serverless = {"Name": "Own", "Type": "Training", "Arguments": {"ServerlessJobConfig": {}}}
    with pytest.raises(ParameterError, match="what the serverless Training step Own bills is not counted"):
        check(client, SECONDS, serverless)


def test_a_job_that_cannot_be_read_does_not_hide_what_the_others_billed(
    client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    began = datetime.now(UTC) - timedelta(hours=1)

    def train(**_: str) -> dict[str, Any]:
        return {"CreationTime": began, "ResourceConfig": {"InstanceCount": 2}, "BillableTimeInSeconds": 31}

    def denied(**_: str) -> dict[str, Any]:
        raise ClientError({"Error": {"Code": "AccessDeniedException"}}, "DescribeTransformJob")

    client.sagemaker = SimpleNamespace(describe_training_job=train, describe_transform_job=denied)
    client.describe_execution = lambda arn: {"CreationTime": began}
    client.log = logging.getLogger("test_budget")
    steps = [
        Step(name=name, status="Succeeded", type=name, arn=f"arn:job/{name}", ended=began)
        for name in ("Transform", "Training")
    ]
    excess = Budget(client, "arn", SECONDS, {}).excess(steps)
    assert excess == "62 instance-seconds were billed, and max_instance_seconds is 60"
    assert "step Transform of arn bills cannot be read" in caplog.text


def test_a_job_that_replaces_another_is_billed_anew(client: Any) -> None:
    began = datetime.now(UTC) - timedelta(hours=1)
    seconds = {"first": 50, "second": 61}

    def train(TrainingJobName: str) -> dict[str, Any]:
        return {"CreationTime": began, "BillableTimeInSeconds": seconds[TrainingJobName]}

    client.sagemaker = SimpleNamespace(describe_training_job=train)
    client.describe_execution = lambda arn: {"CreationTime": began}
    budget = Budget(client, "arn", SECONDS, {})
    step: dict[str, Any] = {
        "name": "Train",
        "status": "Failed",
        "type": "Training",
        "attempts": 1,
        "ended": began,
    }
    assert budget.excess([Step(**step, arn="arn:job/first")]) is None
    assert budget.excess([Step(**step, arn="arn:job/second")]) is not None


def test_an_ended_job_of_a_tuning_job_is_described_once(client: Any) -> None:
    began = datetime.now(UTC) - timedelta(hours=1)
    described = []

    def train(TrainingJobName: str) -> dict[str, Any]:
        described.append(TrainingJobName)
        ended = {"TrainingEndTime": began} if TrainingJobName == "first" else {}
        return {"CreationTime": began, "ResourceConfig": {}, "BillableTimeInSeconds": 25, **ended}

    client.sagemaker = SimpleNamespace(
        describe_training_job=train,
        describe_hyper_parameter_tuning_job=lambda **named: {**named, "CreationTime": began},
    )
    client.pages = lambda *_, **__: [{"TrainingJobName": name} for name in ("first", "second")]
    client.describe_execution = lambda arn: {"CreationTime": began}
    budget = Budget(client, "arn", Bounds(max_instance_seconds=49), {})
    tuning = Step(name="Tune", status="Executing", type="Tuning", arn="arn:job/tune")
    for _ in range(2):
        assert str(budget.excess([tuning])).startswith("50 instance-seconds were billed")
    assert described == ["first", "second", "second"]


def test_what_a_call_takes_is_not_added_to_what_a_job_bills(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = datetime.now(UTC)
    moments = [began]

    def describe(**_: str) -> dict[str, Any]:
        moments.append(moments[-1] + timedelta(seconds=10))
        return {"CreationTime": began, "ProcessingStartTime": began}

    client.sagemaker = SimpleNamespace(describe_processing_job=describe)
    client.describe_execution = lambda arn: {"CreationTime": began}
    for module in ("budget", "jobs"):
        clock = SimpleNamespace(now=lambda _: moments[-1])
        monkeypatch.setattr(f"sagemaker_pipelines.aws.{module}.datetime", clock)
    budget = Budget(client, "arn", SECONDS, {})
    listed = Step(name="Prepare", status="Executing", type="Processing", arn="arn:job/prepare")
    assert budget.excess([listed]) is None
    moments.append(began + timedelta(seconds=55))
    assert budget.excess([listed]) is None
    assert moments[-1] == began + timedelta(seconds=55), "described again below the bound"


@pytest.mark.parametrize("runs_on", [False, True])
def test_a_bound_is_passed_only_if_the_job_still_runs_although_its_step_has_no_listed_end(
    client: Any, monkeypatch: pytest.MonkeyPatch, runs_on: bool
) -> None:
    now = datetime.now(UTC)
    began = now - timedelta(seconds=10)
    running = {"CreationTime": began, "ProcessingStartTime": began}
    an_hour_later = {**running, "ProcessingStartTime": began - timedelta(hours=1)}
    ended = {**running, "ProcessingEndTime": began + timedelta(seconds=12)}
    answers = iter([running, an_hour_later if runs_on else ended])
    client.sagemaker = SimpleNamespace(describe_processing_job=lambda **_: next(answers))
    client.describe_execution = lambda arn: {"CreationTime": began}
    moments = iter([now, *[now + timedelta(hours=1)] * 2])
    monkeypatch.setattr(
        "sagemaker_pipelines.aws.budget.datetime", SimpleNamespace(now=lambda _: next(moments))
    )
    budget = Budget(client, "arn", SECONDS, {})
    listed = Step(name="Prepare", status="Executing", type="Processing", arn="arn:job/prepare")
    assert budget.excess([listed]) is None
    assert (budget.excess(iter([listed])) is not None) is runs_on
    assert next(answers, None) is None
