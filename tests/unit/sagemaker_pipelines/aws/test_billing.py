"""What the jobs of an execution bill."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sagemaker_pipelines.aws.billing import Total, billed_text, with_bills
from sagemaker_pipelines.aws.prices import Price, Prices
from sagemaker_pipelines.aws.steps import Step

START = datetime(2026, 11, 23, 7, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def step(name: str, job_type: str, **fields: Any) -> Step:
    arn = f"arn:aws:sagemaker:us-east-1:1:{job_type.lower()}-job/{name.lower()}"
    metadata = {f"{job_type}Job": {"Arn": arn}}
    return Step.read({"StepName": name, "StepStatus": "Succeeded", "Metadata": metadata, **fields})


def processing(*, created: datetime = START + MINUTE, count: int = 1, **fields: Any) -> dict[str, Any]:
    cluster = {"InstanceType": "ml.m5.xlarge", "InstanceCount": count}
    return {"CreationTime": created, "ProcessingResources": {"ClusterConfig": cluster}, **fields}


def billed_steps(steps: list[Step], prices_file: Path | None = None, **jobs: dict[str, Any]) -> list[Step]:
    def describe(**name: str) -> dict[str, Any]:
        (job,) = name.values()
        return jobs[job]

    def children(operation: str, key: str, *, HyperParameterTuningJobName: str) -> list[dict[str, str]]:
        names = sorted(name for name in jobs if name.startswith(f"{HyperParameterTuningJobName}-"))
        return [{"TrainingJobName": name} for name in names]

    client: Any = SimpleNamespace(
        sagemaker=SimpleNamespace(
            describe_processing_job=describe,
            describe_training_job=describe,
            describe_transform_job=describe,
            describe_hyper_parameter_tuning_job=describe,
        ),
        pages=children,
        region="us-east-1",
        settings=SimpleNamespace(prices_file=prices_file),
    )
    return with_bills(client, {"CreationTime": START}, steps)


def bills(steps: list[Step], prices_file: Path | None = None, **jobs: dict[str, Any]) -> list[str]:
    billed = billed_steps(steps, prices_file, **jobs)
    assert Total.of(billed).instance_seconds == sum(s.bill.instance_seconds for s in billed if s.bill)
    return [f"{step.name}: {step.bill}" for step in billed]


def minutes(start: int, end: int) -> dict[str, Any]:
    return {"ProcessingStartTime": START + start * MINUTE, "ProcessingEndTime": START + end * MINUTE}


@pytest.fixture
def priced(tmp_path: Path) -> Path:
    """36 dollars an hour are a cent a second."""
    cost = Price(
        region="us-east-1",
        instance="ml.m5.xlarge",
        component="Processing",
        price_per_hour=36.0,
        date=date(2026, 11, 20),
    )
    Prices([cost]).save(tmp_path / "prices.toml")
    return tmp_path / "prices.toml"


def test_a_tuning_job_bills_its_training_jobs_at_the_price_of_training(tmp_path: Path) -> None:
    trained = {"ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 2}}
    spot = {**trained, "TrainingTimeInSeconds": 100, "BillableTimeInSeconds": 40}
    model = {"ModelArtifacts": {"S3ModelArtifacts": "s3://b/model.tar.gz"}, "TrainingJobName": "tune-002"}
    whole = {**trained, **model, "TrainingTimeInSeconds": 60, "BillableTimeInSeconds": 60}
    channel = {"DataSource": {"S3DataSource": {"S3Uri": "s3://b/data"}}}
    began = {
        "HyperParameterTuningJobName": "tune",
        "CreationTime": START + MINUTE,
        "TrainingJobDefinition": {"InputDataConfig": [channel]},
        "BestTrainingJob": {"TrainingJobName": "tune-002"},
    }
    price = Price(
        region="us-east-1",
        instance="ml.m5.large",
        component="Training",
        price_per_hour=36.0,
        date=date(2026, 11, 20),
    )
    Prices([price]).save(tmp_path / "prices.toml")
    jobs: dict[str, dict[str, Any]] = {
        "tune": began,
        "tune-001": spot,
        "tune-002": whole,
        "tune-003": trained,
    }
    (tuned,) = billed_steps([step("Tune", "Tuning")], tmp_path / "prices.toml", **jobs)
    assert tuned.bill is not None
    assert (tuned.bill.seconds, tuned.bill.instance_seconds) == (100.0, 200.0)
    assert (tuned.bill.saved_instance_seconds, tuned.bill.cost) == (120.0, 2.0)
    assert (tuned.inputs, tuned.outputs) == (("s3://b/data",), ("s3://b/model.tar.gz",))


def test_training_jobs_of_a_tuning_job_bill_by_their_own_clusters() -> None:
    def trained(seconds: int, instance: str, count: int) -> dict[str, Any]:
        cluster = {"InstanceType": instance, "InstanceCount": count}
        return {"ResourceConfig": cluster, "TrainingTimeInSeconds": 50, "BillableTimeInSeconds": seconds}

    jobs: dict[str, dict[str, Any]] = {
        "tune": {"HyperParameterTuningJobName": "tune", "CreationTime": START + MINUTE},
        "tune-001": trained(50, "ml.p3.2xlarge", 4),
        "tune-002": trained(40, "ml.m5.large", 1),
    }
    (tuned,) = billed_steps([step("Tune", "Tuning")], None, **jobs)
    assert tuned.bill is not None
    assert (tuned.bill.instance_seconds, tuned.bill.saved_instance_seconds) == (240.0, 10.0)
    assert Total.of([tuned]).unpriced == ("ml.m5.large + ml.p3.2xlarge for Training",)


def test_processing_bills_from_start_to_end_times_instances() -> None:
    times: dict[str, Any] = {"ProcessingStartTime": START + MINUTE, "ProcessingEndTime": START + 3 * MINUTE}
    assert bills([step("Prepare", "Processing")], prepare=processing(count=2, **times)) == [
        "Prepare: 240 instance-seconds = 120 s x 2 ml.m5.xlarge (start to end)"
    ]


def test_training_tells_its_own_billable_time_and_what_spot_has_saved() -> None:
    job = {
        "CreationTime": START + MINUTE,
        "ResourceConfig": {"InstanceType": "ml.c5.large", "InstanceCount": 1},
        "TrainingTimeInSeconds": 100,
        "BillableTimeInSeconds": 30,
    }
    assert bills([step("Train", "Training")], train=job) == [
        "Train: 30 instance-seconds = 30 s x 1 ml.c5.large (BillableTimeInSeconds, 70% saved by spot)"
    ]


def test_a_transform_job_that_failed_bills_too() -> None:
    job = {
        "CreationTime": START + MINUTE,
        "TransformJobStatus": "Failed",
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 3},
        "TransformStartTime": START + MINUTE,
        "TransformEndTime": START + MINUTE + timedelta(seconds=10),
    }
    assert bills([step("Score", "Transform", StepStatus="Failed")], score=job) == [
        "Score: 30 instance-seconds = 10 s x 3 ml.m5.large (start to end)"
    ]


@pytest.mark.parametrize(
    ("fields", "created", "source"),
    [
        (
            {"CacheHitResult": {"SourcePipelineExecutionArn": "earlier"}},
            START - MINUTE,
            "cache hit, 60 saved",
        ),
        ({}, START - MINUTE, "of another execution"),
    ],
)
def test_a_job_of_another_execution_bills_nothing_here(
    fields: dict[str, Any], created: datetime, source: str
) -> None:
    times: dict[str, Any] = {"ProcessingStartTime": created, "ProcessingEndTime": created + MINUTE}
    assert bills([step("Prepare", "Processing", **fields)], prepare=processing(created=created, **times)) == [
        f"Prepare: 0 instance-seconds = 0 s x 1 ml.m5.xlarge ({source})"
    ]


def test_a_job_that_never_started_bills_nothing_and_a_step_without_a_job_has_no_bill() -> None:
    condition = Step(name="Gate", status="Succeeded", type="Condition")
    assert bills([step("Prepare", "Processing"), condition], prepare=processing()) == [
        "Prepare: 0 instance-seconds = 0 s x 1 ml.m5.xlarge (not started)",
        "Gate: None",
    ]


def test_a_known_price_gives_the_cost_and_its_date(priced: Path) -> None:
    steps = billed_steps(
        [step("Prepare", "Processing")], priced, prepare=processing(count=2, **minutes(1, 3))
    )
    bill = steps[0].bill
    assert bill is not None
    assert (bill.cost, bill.price_date, bill.currency) == (2.4, "2026-11-20", "USD")
    assert str(bill).endswith("(start to end), 2.40 USD")
    assert str(Total.of(steps)) == "240 instance-seconds, 2.40 USD by the prices of 2026-11-20"


def test_one_unknown_price_makes_the_sum_unknown_and_is_named(priced: Path) -> None:
    train = {
        "CreationTime": START + MINUTE,
        "ResourceConfig": {"InstanceType": "ml.c5.large", "InstanceCount": 1},
        "BillableTimeInSeconds": 30,
    }
    steps = billed_steps(
        [step("Prepare", "Processing"), step("Train", "Training")],
        priced,
        prepare=processing(**minutes(1, 3)),
        train=train,
    )
    total = Total.of(steps)
    assert (total.instance_seconds, total.cost, total.cost_upper_bound, total.currency) == (
        150,
        None,
        None,
        None,
    )
    assert str(total) == "150 instance-seconds, cost unknown: no price of ml.c5.large for Training"


def test_an_unknown_price_is_never_0(priced: Path) -> None:
    steps = billed_steps([step("Prepare", "Processing")], None, prepare=processing(**minutes(1, 3)))
    assert steps[0].bill is not None
    assert steps[0].bill.cost is None
    assert billed_text(asdict(Total.of(steps))) == "120 instance-seconds, cost unknown"


def test_earlier_attempts_are_an_upper_bound_until_the_last_job_was_created(priced: Path) -> None:
    again = step("Prepare", "Processing", AttemptCount=2, StartTime=START + MINUTE)
    job = processing(created=START + 4 * MINUTE, count=2, **minutes(5, 6))
    total = Total.of(billed_steps([again], priced, prepare=job))
    assert (total.instance_seconds, total.instance_seconds_upper_bound) == (120, 120 + 360)
    assert (total.cost, total.cost_upper_bound) == (1.2, 4.8)
    assert "120 instance-seconds (at most 480 with earlier attempts), 1.20 USD" in str(total)


def test_a_cache_hit_costs_nothing_and_tells_what_it_saved(priced: Path) -> None:
    hit = step("Prepare", "Processing", CacheHitResult={"SourcePipelineExecutionArn": "earlier"})
    job = processing(created=START - 5 * MINUTE, **minutes(-4, -2))
    total = Total.of(billed_steps([hit], priced, prepare=job))
    assert (total.instance_seconds, total.saved_instance_seconds, total.cost) == (0, 120, 0.0)


def test_a_job_that_runs_bills_until_now() -> None:
    running = processing(ProcessingStartTime=datetime.now(UTC) - MINUTE)
    bill = billed_steps([step("Prepare", "Processing", StepStatus="Executing")], None, prepare=running)[
        0
    ].bill
    assert bill is not None
    assert bill.seconds >= 60
    assert bill.source == "start until now"


def test_the_job_of_a_check_bills_as_a_processing_job(priced: Path) -> None:
    check = Step.read(
        {
            "StepName": "Check",
            "StepStatus": "Succeeded",
            "Metadata": {"QualityCheck": {"CheckJobArn": "arn:aws:sagemaker:us-east-1:1:job/check"}},
        }
    )
    total = Total.of(billed_steps([check], priced, check=processing(**minutes(1, 2))))
    assert (total.instance_seconds, total.cost) == (60, 0.6)


def test_a_step_that_is_not_counted_makes_the_cost_unknown(priced: Path) -> None:
    steps = billed_steps(
        [step("Prepare", "Processing"), step("Find", "AutoML")], priced, prepare=processing(**minutes(1, 2))
    )
    assert str(Total.of(steps)) == "60 instance-seconds, cost unknown: no price of the AutoML step Find"
    alone = Total.of(steps[1:])
    assert alone.cost is None
    assert billed_text(asdict(alone)) == "0 instance-seconds, cost unknown"


def test_all_groups_of_a_heterogeneous_cluster_bill() -> None:
    groups = [
        {"InstanceGroupName": "a", "InstanceType": "ml.m5.large", "InstanceCount": 1},
        {"InstanceGroupName": "b", "InstanceType": "ml.c5.large", "InstanceCount": 4},
    ]
    job = {
        "CreationTime": START + MINUTE,
        "ResourceConfig": {"InstanceGroups": groups},
        "BillableTimeInSeconds": 30,
    }
    assert bills([step("Train", "Training")], train=job) == [
        "Train: 150 instance-seconds = 30 s x 5 ml.c5.large + ml.m5.large (BillableTimeInSeconds)"
    ]


def test_costs_in_several_currencies_are_not_added(priced: Path) -> None:
    known = Prices.load(priced)
    euro = Price(
        region="us-east-1",
        instance="ml.c5.large",
        component="Training",
        price_per_hour=36.0,
        date=date(2026, 11, 20),
        currency="EUR",
    )
    Prices([*known.by_key.values(), euro]).save(priced)
    train = {
        "CreationTime": START + MINUTE,
        "ResourceConfig": {"InstanceType": "ml.c5.large", "InstanceCount": 1},
        "BillableTimeInSeconds": 30,
    }
    steps = [step("Prepare", "Processing"), step("Train", "Training")]
    total = Total.of(billed_steps(steps, priced, prepare=processing(**minutes(1, 2)), train=train))
    assert (total.cost, total.cost_upper_bound, total.currency) == (None, None, None)
    assert str(total) == "90 instance-seconds, cost unknown: the prices have several currencies"
