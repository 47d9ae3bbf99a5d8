"""The judgement of an execution: succeeded, rejected, failed and why."""

from __future__ import annotations

import json
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.stub import Stubber

from sagemaker_pipelines.aws.client import SageMakerClient
from sagemaker_pipelines.aws.outcome import execution_outcome
from sagemaker_pipelines.exceptions import (
    ExecutionFailedError,
    ExecutionRunningError,
    ExecutionStoppedError,
    FailureCause,
    UnknownStatusError,
)
from sagemaker_pipelines.states import EXECUTION_PHASES
from tests.unit.sagemaker_pipelines.samples import ARN, JOB_ARN, gated_definition

START = datetime(2026, 11, 23, 7, tzinfo=UTC)


def step(name: str, status: str, seconds: float = 1, **fields: Any) -> dict[str, Any]:
    return {
        "StepName": name,
        "StepStatus": status,
        "StartTime": START,
        "EndTime": START + timedelta(seconds=seconds),
        **fields,
    }


def fail_step(name: str, message: str = "MSE too high", **fields: Any) -> dict[str, Any]:
    return step(name, "Failed", Metadata={"Fail": {"ErrorMessage": message}}, **fields)


def ended(stubber: Stubber, status: str, *steps: dict[str, Any], reason: str | None = None) -> None:
    description = {"PipelineExecutionArn": ARN, "PipelineExecutionStatus": status}
    if reason:
        description["FailureReason"] = reason
    stubber.add_response("describe_pipeline_execution", description)
    stubber.add_response("list_pipeline_execution_steps", {"PipelineExecutionSteps": list(steps)})


def log(client: SageMakerClient, *messages: str) -> None:
    """Make the log of the job ``job-1``."""
    group, stream = "/aws/sagemaker/ProcessingJobs", "job-1/algo-1"
    client.logs.create_log_group(logGroupName=group)
    client.logs.create_log_stream(logGroupName=group, logStreamName=stream)
    client.logs.put_log_events(
        logGroupName=group,
        logStreamName=stream,
        logEvents=[
            {"timestamp": 1_795_000_000_000 + i, "message": message} for i, message in enumerate(messages)
        ],
    )


def definition(stubber: Stubber) -> None:
    stubber.add_response(
        "describe_pipeline_definition_for_execution", {"PipelineDefinition": json.dumps(gated_definition())}
    )


def test_an_execution_that_failed_in_the_gates_fail_step_only_is_rejected(
    client: SageMakerClient, sagemaker: Stubber
) -> None:
    ended(sagemaker, "Failed", step("Evaluate", "Succeeded"), step("Other", "Stopped"), fail_step("Reject"))
    definition(sagemaker)
    outcome = execution_outcome(client, ARN)
    assert outcome.rejected
    assert outcome.cause == FailureCause(step_name="Reject", reason="MSE too high", is_fail_step=True)


def test_a_dag_may_name_other_rejection_steps(client: SageMakerClient, sagemaker: Stubber) -> None:
    ended(sagemaker, "Failed", fail_step("TooFewRows"))
    assert execution_outcome(client, ARN, rejection_steps=["TooFewRows"]).rejected


def test_a_fail_step_that_is_not_named_as_a_rejection_is_a_failure(
    client: SageMakerClient, sagemaker: Stubber
) -> None:
    ended(sagemaker, "Failed", fail_step("TooFewRows", "12 rows"))
    definition(sagemaker)
    with pytest.raises(ExecutionFailedError, match="step TooFewRows failed: 12 rows") as caught:
        execution_outcome(client, ARN)
    assert not caught.value.can_be_retried


@pytest.mark.parametrize(
    ("status", "tolerated", "fails"),
    [
        ("CompletedWithFailures", ["Report", "Other"], False),
        ("CompletedWithFailures", ["Other"], True),
        ("CompletedWithFailures", None, True),
        # SageMaker itself did not go on.
        ("Failed", ["Report", "Other"], True),
    ],
)
def test_failures_are_tolerated_if_all_are_named_and_sagemaker_went_on(
    client: SageMakerClient, sagemaker: Stubber, status: str, tolerated: list[str] | None, fails: bool
) -> None:
    ended(sagemaker, status, step("Report", "Failed", FailureReason="x"), step("Other", "Failed"))
    with pytest.raises(ExecutionFailedError) if fails else nullcontext():
        outcome = execution_outcome(client, ARN, tolerated_failures=tolerated)
        assert (outcome.status, outcome.rejected) == (status, False)


def test_a_rejection_beside_another_failed_step_is_a_failure(
    client: SageMakerClient, sagemaker: Stubber
) -> None:
    ended(sagemaker, "Failed", fail_step("Reject"), step("Other", "Failed", FailureReason="exit code 1"))
    with pytest.raises(ExecutionFailedError, match="exit code 1"):
        execution_outcome(client, ARN)


def test_a_failure_is_told_with_reason_and_the_tail_of_the_log(
    client: SageMakerClient, sagemaker: Stubber
) -> None:
    log(client, *[f"line {i}\n" for i in range(30)])
    failed = step(
        "Evaluate", "Failed", FailureReason="exit code 1", Metadata={"ProcessingJob": {"Arn": JOB_ARN}}
    )
    ended(sagemaker, "Failed", failed, reason="Step failure: One or multiple steps failed.")
    with pytest.raises(ExecutionFailedError) as caught:
        execution_outcome(client, ARN)
    (cause,) = caught.value.causes
    assert (cause.step_name, cause.reason, cause.job_arn) == ("Evaluate", "exit code 1", JOB_ARN)
    assert (cause.log_group, cause.log_stream) == ("/aws/sagemaker/ProcessingJobs", "job-1/algo-1")
    assert cause.log_tail == tuple(f"line {i}" for i in range(10, 30))
    assert caught.value.can_be_retried


def test_the_longest_failure_fits_into_a_log_and_says_that_it_was_cut(
    client: SageMakerClient, sagemaker: Stubber
) -> None:
    log(client, *["x" * 20_000] * 20)
    job = {"ProcessingJob": {"Arn": JOB_ARN}}
    failed = [
        step(f"Step{i}", "Failed", seconds=i, FailureReason="y" * 20_000, Metadata=job) for i in range(90)
    ]
    ended(sagemaker, "Failed", *failed)
    with pytest.raises(ExecutionFailedError) as caught:
        execution_outcome(client, ARN)
    causes = caught.value.causes
    assert [cause.step_name for cause in causes] == [f"Step{i}" for i in range(90)]
    assert causes[0].reason.endswith("... (cut: 20,000 characters in all)")
    assert causes[0].log_tail[0].endswith("... (cut: 20,000 characters in all)")
    assert (len(causes[0].log_tail), causes[-1].log_tail) == (20, ())
    assert len(str(caught.value)) < 200_000


def test_a_log_that_cannot_be_read_does_not_hide_the_failure(
    client: SageMakerClient, sagemaker: Stubber
) -> None:
    failed = step(
        "Evaluate", "Failed", FailureReason="exit code 1", Metadata={"ProcessingJob": {"Arn": JOB_ARN}}
    )
    ended(sagemaker, "Failed", failed)
    with pytest.raises(ExecutionFailedError, match="exit code 1"):
        execution_outcome(client, ARN)


def test_the_step_that_failed_first_is_named_first(client: SageMakerClient, sagemaker: Stubber) -> None:
    ended(
        sagemaker,
        "Failed",
        step("Late", "Failed", 9, FailureReason="late"),
        step("Early", "Failed", 3, FailureReason="early"),
    )
    with pytest.raises(ExecutionFailedError) as caught:
        execution_outcome(client, ARN)
    assert [cause.step_name for cause in caught.value.causes] == ["Early", "Late"]


def test_a_failure_without_any_reason_is_told_as_such(client: SageMakerClient, sagemaker: Stubber) -> None:
    ended(sagemaker, "Failed")
    with pytest.raises(ExecutionFailedError, match="AWS gives no reason"):
        execution_outcome(client, ARN)


def test_all_pages_of_steps_are_read(client: SageMakerClient, sagemaker: Stubber) -> None:
    pages = [[step(f"Step{page}{i}", "Succeeded") for i in range(100)] for page in range(3)]
    for number, page in enumerate(pages):
        more = {"NextToken": str(number)} if number < 2 else {}
        sagemaker.add_response(
            "list_pipeline_execution_steps",
            {"PipelineExecutionSteps": page, **more},
            {
                "PipelineExecutionArn": ARN,
                "SortOrder": "Ascending",
                "MaxResults": 100,
                **({"NextToken": str(number - 1)} if number else {}),
            },
        )
    assert len(client.list_steps(ARN)) == 300


TRUTH: dict[str, type[Exception] | None] = {
    "Executing": ExecutionRunningError,
    "Stopping": ExecutionRunningError,
    "Stopped": ExecutionStoppedError,
    "Failed": ExecutionFailedError,
    "CompletedWithFailures": ExecutionFailedError,
    "Succeeded": None,
    "Paused": UnknownStatusError,
}


def test_the_truth_table_has_every_status_and_an_unknown_one() -> None:
    assert set(TRUTH) == {*EXECUTION_PHASES, "Paused"}


@pytest.mark.parametrize(("status", "error"), TRUTH.items())
def test_only_succeeded_succeeds(
    client: SageMakerClient, sagemaker: Stubber, status: str, error: type[Exception] | None
) -> None:
    sagemaker.add_response("describe_pipeline_execution", {"PipelineExecutionStatus": status})
    if error is ExecutionFailedError:
        sagemaker.add_response("list_pipeline_execution_steps", {"PipelineExecutionSteps": []})
    if error is None:
        assert execution_outcome(client, ARN).status == status
    else:
        with pytest.raises(error, match=status):
            execution_outcome(client, ARN)
