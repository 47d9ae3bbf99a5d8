"""What the jobs of an execution bill."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from sagemaker_pipelines.aws.billing import instance_seconds, with_bills
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


def bills(steps: list[Step], **jobs: dict[str, Any]) -> list[str]:
    def describe(**name: str) -> dict[str, Any]:
        (job,) = name.values()
        return jobs[job]

    client: Any = SimpleNamespace(
        sagemaker=SimpleNamespace(
            describe_processing_job=describe, describe_training_job=describe, describe_transform_job=describe
        ),
    )
    billed = with_bills(client, {"CreationTime": START}, steps)
    assert instance_seconds(billed) == sum(step.bill.instance_seconds for step in billed if step.bill)
    return [f"{step.name}: {step.bill}" for step in billed]


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
        ({"CacheHitResult": {"SourcePipelineExecutionArn": "earlier"}}, START - MINUTE, "cache hit"),
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
