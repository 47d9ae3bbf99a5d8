"""A worker that dies while it writes a person's answer leaves one decision, and the person is asked once."""

from __future__ import annotations

import os
import signal

import pytest

from tests.e2e.crash.harness import ENDED, Harness
from tests.e2e.deciding import answer, question

pytestmark = pytest.mark.thorough

DAG, TASK, GROUP = "approval", "approve", "crash"


@pytest.fixture(scope="module")
def group(harness: Harness) -> str:
    harness.sagemaker.create_model_package_group(ModelPackageGroupName=GROUP)
    return GROUP


@pytest.mark.parametrize("point", ["before", "accepted"])
def test_an_answer_whose_worker_dies_is_written_once_and_not_asked_for_again(
    harness: Harness, group: str, point: str
) -> None:
    package = harness.sagemaker.create_model_package(
        ModelPackageGroupName=group, ModelApprovalStatus="PendingManualApproval"
    )["ModelPackageArn"]
    if point == "accepted":
        harness.endpoint.add_fault("UpdateModelPackage", "drop_after", count=1)
    before = updates(harness)
    run_id = harness.trigger(DAG, point=point, task=TASK, package=package)
    question(harness.api, DAG, run_id, TASK)
    reached = (harness.gates / f"{run_id}.reached").exists
    answer(harness.stack, DAG, run_id, "Approve", "lower error", task_id=TASK, acted=reached)
    os.kill(harness.processes_at(run_id)["task"], signal.SIGKILL)
    harness.endpoint.clear_faults()
    harness.open_gate(run_id)
    # A second question would wait for ever.
    harness.until(lambda: harness.api.run(DAG, run_id)["state"] in ENDED, f"{run_id} to end")
    assert harness.api.run(DAG, run_id)["state"] == "success"
    assert updates(harness) - before == 1
    found = harness.sagemaker.describe_model_package(ModelPackageName=package)
    assert found["ModelApprovalStatus"] == "Approved"
    assert f": reason: lower error; run {DAG} {run_id}; record s3://" in found["ApprovalDescription"]
    assert records(harness, package) == [found["ApprovalDescription"].partition("; record ")[2].split(";")[0]]


def updates(harness: Harness) -> int:
    return harness.endpoint.calls().get("sagemaker:UpdateModelPackage", 0)


def records(harness: Harness, package: str) -> list[str]:
    """Return the S3 URIs of all recorded decisions about a package."""
    bucket, prefix = harness.endpoint.bucket, f"decisions/{package.rpartition(':model-package/')[2]}/"
    listed = harness.endpoint.client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix)
    return [f"s3://{bucket}/{item['Key']}" for item in listed.get("Contents", ())]
