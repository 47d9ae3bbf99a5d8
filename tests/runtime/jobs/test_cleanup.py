"""Cleanup steps delete what earlier steps have written, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from sagemaker_local_runtime.engine.steps.base import StepRun
from sagemaker_local_runtime.engine.steps.cleanup import CleanupExecutor
from tests.runtime.jobs.conftest import BUCKET, JobRuntime
from tests.runtime.jobs.test_steps import step_run

PROCESSED = {
    "ProcessingJobArn": "arn",
    "ProcessingOutputConfig": {"Outputs": [{"S3Output": {"S3Uri": f"s3://{BUCKET}/out"}}]},
}
TRAINED = {
    "TrainingJobArn": "arn",
    "TrainingJobName": "job-1",
    "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/models/"},
}
TRANSFORMED = {"TransformJobArn": "arn", "TransformOutput": {"S3OutputPath": f"s3://{BUCKET}/scores"}}


@pytest.fixture
def objects(runtime: JobRuntime) -> JobRuntime:
    keys = (
        "out/a",
        "out/b",
        "output/a",
        "models/job-1/output/model.tar.gz",
        "models/job-10/output/model.tar.gz",
        "scores/a",
    )
    for key in keys:
        runtime.storage.write_bytes(f"s3://{BUCKET}/{key}", b"x")
    return runtime


def run(runtime: JobRuntime, properties: Any, *uris: str, name: str = "Source") -> tuple[Any, set[str]]:
    """Run a Cleanup step on one source; return its outcome, and the keys that are gone."""
    before = set(runtime.storage.list(f"s3://{BUCKET}/"))
    source: dict[str, Any] = {"StepName": name, **({"S3Uris": list(uris)} if uris else {})}
    made = step_run(runtime, "Cleanup", {"Resources": {"S3": [source]}})
    fields = {field: getattr(made, field) for field in StepRun.__dataclass_fields__}
    outcome = CleanupExecutor().run(StepRun(**{**fields, "properties": {"Source": properties}}))
    after = set(runtime.storage.list(f"s3://{BUCKET}/"))
    return outcome, {uri.removeprefix(f"s3://{BUCKET}/") for uri in before - after}


def test_it_deletes_all_outputs_of_a_training_step(objects: JobRuntime) -> None:
    outcome, gone = run(objects, TRAINED)
    assert gone == {"models/job-1/output/model.tar.gz"}
    assert outcome.metadata == {
        "Cleanup": {"CleanedSteps": ["Source"], "FailedSteps": [], "SkippedSteps": []}
    }


@pytest.mark.parametrize(("properties", "key"), [(PROCESSED, "out/a"), (TRANSFORMED, "scores/a")])
def test_it_deletes_the_named_objects_of_other_steps(
    objects: JobRuntime, properties: dict[str, Any], key: str
) -> None:
    outcome, gone = run(objects, properties, f"s3://{BUCKET}/{key}")
    assert (outcome.status, gone) == ("Succeeded", {key})


@pytest.mark.parametrize(
    ("properties", "uris", "message"),
    [
        (PROCESSED, ["s3://{bucket}/out/a", "s3://{bucket}/output/a"], "output/a is not below the outputs"),
        (PROCESSED, [], "Only a Training step needs no S3Uris"),
        ({**PROCESSED, "NetworkConfig": {"VpcConfig": {}}}, ["s3://{bucket}/out/a"], "with a VpcConfig"),
        ({**TRAINED, "VpcConfig": {}}, [], "with a VpcConfig"),
    ],
)
def test_what_it_must_not_delete_fails_the_step(
    objects: JobRuntime, properties: dict[str, Any], uris: list[str], message: str
) -> None:
    outcome, gone = run(objects, properties, *(uri.format(bucket=BUCKET) for uri in uris))
    (failed,) = outcome.metadata["Cleanup"]["FailedSteps"]
    assert message in failed["ErrorMessage"]
    assert (outcome.status, failed["ErrorCode"], gone) == ("Failed", "ClientError", set())


def test_a_step_without_outputs_is_skipped(objects: JobRuntime) -> None:
    for name, properties in (("Other", TRAINED), ("Source", {"ModelArn": "arn"})):
        outcome, gone = run(objects, properties, name=name)
        assert outcome.metadata["Cleanup"]["SkippedSteps"] == [name]
        assert (outcome.status, gone) == ("Succeeded", set())
