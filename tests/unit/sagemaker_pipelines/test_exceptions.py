"""The package's own exceptions."""

from __future__ import annotations

import pickle

import pytest

from sagemaker_pipelines.exceptions import (
    ExecutionFailedError,
    ExecutionStoppedError,
    FailureCause,
    MissingDataError,
    SageMakerPipelinesError,
    UnknownStatusError,
)

ARN = "arn:aws:sagemaker:us-east-1:123456789012:pipeline/abalone/execution/abc"
CAUSE = FailureCause(
    step_name="AbaloneTrain",
    reason="AlgorithmError: exit code 1",
    log_group="/aws/sagemaker/TrainingJobs",
    log_stream="job-1/algo-1",
    log_tail=("line 1", "line 2"),
)


@pytest.mark.parametrize(
    "error",
    [
        ExecutionFailedError(ARN, "Failed", "Step failure", [CAUSE]),
        ExecutionStoppedError(ARN, "Stopped"),
        MissingDataError({"InputData": "s3://bucket/data.csv"}),
        UnknownStatusError("step", "Paused", ["Failed"]),
    ],
)
def test_an_error_survives_pickling_with_its_fields(error: SageMakerPipelinesError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))


def test_a_failure_names_step_reason_log_and_its_last_lines() -> None:
    text = str(ExecutionFailedError(ARN, "Failed", None, [CAUSE]))
    for part in (
        ARN,
        "Failed",
        "AbaloneTrain",
        "exit code 1",
        "/aws/sagemaker/TrainingJobs",
        "job-1/algo-1",
        "line 2",
    ):
        assert part in text


def test_a_failure_without_steps_tells_the_executions_own_reason() -> None:
    assert "quota exceeded" in str(ExecutionFailedError(ARN, "Failed", "quota exceeded", []))
    assert ExecutionFailedError(ARN, "Failed", "quota exceeded", []).first_cause is None


@pytest.mark.parametrize(
    ("status", "causes", "can_be_retried"),
    [
        ("Failed", [CAUSE], True),
        ("Failed", [], True),
        ("Failed", [FailureCause(step_name="Fail", reason="no", is_fail_step=True)], False),
        ("CompletedWithFailures", [CAUSE], False),
    ],
)
def test_a_fail_step_and_a_completed_execution_cannot_be_retried(
    status: str, causes: list[FailureCause], can_be_retried: bool
) -> None:
    assert ExecutionFailedError(ARN, status, None, causes).can_be_retried is can_be_retried
