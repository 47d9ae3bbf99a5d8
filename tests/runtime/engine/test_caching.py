"""Step caching and step retry policies, as an execution shows them."""

from __future__ import annotations

import time
from typing import Any

import pytest

from sagemaker_local_runtime.engine.steps.base import StepOutcome, StepRun
from sagemaker_local_runtime.exceptions import AwsError, ValidationError
from tests.runtime.engine.definitions import get, pipeline, processing
from tests.runtime.engine.doubles import Engine, FakeJobs, fail, succeed
from tests.waiting import until

OUTPUT = [{"Name": "Prefix", "Type": "String", "DefaultValue": "s3://bucket/1"}]


def cached(expire_after: str | None = "P30D", **arguments: Any) -> dict[str, Any]:
    step = processing("a", **arguments)
    step["CacheConfig"] = {"Enabled": True, **({"ExpireAfter": expire_after} if expire_after else {})}
    return step


def run(engine: Engine, **request: Any) -> str:
    arn = engine.start(**request)
    engine.ended(arn)
    return arn


def outputs(uri: Any) -> dict[str, Any]:
    output = {"S3Uri": uri, "LocalPath": "/opt/ml/processing/out", "S3UploadMode": "EndOfJob"}
    return {"Outputs": [{"OutputName": "out", "S3Output": output}]}


def test_the_same_inputs_reuse_the_job_and_its_outputs(engine: Engine, jobs: FakeJobs) -> None:
    """The outputs are no part of the key: the second execution asks for another prefix and gets the first."""
    reference = get("Steps.a.ProcessingOutputConfig.Outputs['out'].S3Output.S3Uri")
    first_step = cached(ProcessingOutputConfig=outputs(get("Parameters.Prefix")))
    engine.create(pipeline(first_step, processing("b", Environment={"IN": reference}), parameters=OUTPUT))
    first = run(engine)
    second = run(engine, PipelineParameters=[{"Name": "Prefix", "Value": "s3://bucket/2"}])
    assert jobs.order() == ["a", "b", "b"]
    step = engine.steps(second)["a"]
    assert step["CacheHitResult"] == {"SourcePipelineExecutionArn": first}
    assert step["Metadata"] == engine.steps(first)["a"]["Metadata"]
    assert jobs.runs[2].arguments["Environment"] == {"IN": "s3://bucket/1"}
    assert "CacheHitResult" not in engine.steps(first)["a"]


def test_a_hit_names_the_execution_that_really_ran(engine: Engine, jobs: FakeJobs) -> None:
    engine.create(pipeline(cached()))
    first = run(engine)
    for _ in range(2):
        again = run(engine)
        assert engine.steps(again)["a"]["CacheHitResult"] == {"SourcePipelineExecutionArn": first}


def test_changed_inputs_run_again(engine: Engine, jobs: FakeJobs) -> None:
    engine.create(pipeline(cached(Environment={"P": get("Parameters.Prefix")}), parameters=OUTPUT))
    run(engine)
    run(engine, PipelineParameters=[{"Name": "Prefix", "Value": "s3://bucket/2"}])
    assert jobs.order() == ["a", "a"]


def test_a_failed_run_is_not_reused(engine: Engine, jobs: FakeJobs) -> None:
    jobs.behaviours["a"] = fail
    engine.create(pipeline(cached()))
    run(engine)
    run(engine)
    assert jobs.order() == ["a", "a"]


def test_an_expired_run_is_not_reused(
    engine: Engine, jobs: FakeJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.create(pipeline(cached("T16m")))
    run(engine)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 17 * 60)
    run(engine)
    assert jobs.order() == ["a", "a"]


def test_caching_is_off_by_default_and_does_not_cross_pipelines(engine: Engine, jobs: FakeJobs) -> None:
    engine.create(pipeline(processing("a")), name="plain")
    engine.create(pipeline(cached()), name="one")
    engine.create(pipeline(cached()), name="two")
    for name in ("plain", "plain", "one", "two"):
        engine.ended(engine.start(name))
    assert jobs.order() == ["a", "a", "a", "a"]


def test_a_deleted_pipelines_cache_is_gone(engine: Engine, jobs: FakeJobs) -> None:
    engine.create(pipeline(cached()))
    run(engine)
    engine.call("DeletePipeline", PipelineName="demo", ClientRequestToken="t" * 32)
    engine.create(pipeline(cached()))
    run(engine)
    assert jobs.order() == ["a", "a"]


def with_policy(**policy: Any) -> dict[str, Any]:
    step = processing("a")
    step["RetryPolicies"] = [{"IntervalSeconds": 0.01, "BackoffRate": 1.0, **policy}]
    return pipeline(step)


def failing(times: int, failure_type: str) -> Any:
    """Return a behaviour that fails some times, then succeeds."""
    left = [times]

    def behaviour(step_run: StepRun) -> StepOutcome:
        left[0] -= 1
        if left[0] < 0:
            return succeed(step_run)
        return StepOutcome(status="Failed", failure_reason="no capacity", failure_type=failure_type)

    return behaviour


def test_a_retry_policy_repeats_the_step_with_a_new_job(engine: Engine, jobs: FakeJobs) -> None:
    jobs.behaviours["a"] = failing(2, "SageMaker.CAPACITY_ERROR")
    engine.create(with_policy(ExceptionType=["SageMaker.CAPACITY_ERROR"], MaxAttempts=3))
    arn = run(engine)
    step = engine.steps(arn)["a"]
    assert (step["StepStatus"], step["AttemptCount"]) == ("Succeeded", 3)
    assert "FailureReason" not in step
    assert len({step_run.job_name for step_run in jobs.runs}) == 3


def test_the_last_failure_stands_when_the_policy_is_used_up(engine: Engine, jobs: FakeJobs) -> None:
    jobs.behaviours["a"] = failing(9, "SageMaker.JOB_INTERNAL_ERROR")
    engine.create(with_policy(ExceptionType=["SageMaker.JOB_INTERNAL_ERROR"], MaxAttempts=2))
    step = engine.steps(run(engine))["a"]
    assert (step["StepStatus"], step["AttemptCount"], step["FailureReason"]) == ("Failed", 3, "no capacity")


def test_a_refused_create_call_fails_the_step_with_the_calls_name(engine: Engine, jobs: FakeJobs) -> None:
    def refused(step_run: StepRun) -> StepOutcome:
        raise ValidationError("RoleArn is not there")

    jobs.behaviours["a"] = refused
    engine.create(pipeline(processing("a")))
    step = engine.steps(run(engine))["a"]
    assert step["FailureReason"] == (
        "ClientError: Failed to invoke sagemaker:CreateProcessingJob. Error Details: RoleArn is not there"
    )


def test_a_refused_create_call_is_retried_by_its_exception_type(engine: Engine, jobs: FakeJobs) -> None:
    left = [2]

    def limited(step_run: StepRun) -> StepOutcome:
        left[0] -= 1
        if left[0] >= 0:
            raise AwsError("too many jobs", code="ResourceLimitExceeded")
        return succeed(step_run)

    jobs.behaviours["a"] = limited
    engine.create(with_policy(ExceptionType=["SageMaker.RESOURCE_LIMIT"], MaxAttempts=5))
    assert engine.steps(run(engine))["a"]["AttemptCount"] == 3


def test_a_failure_without_a_policy_says_so(engine: Engine, jobs: FakeJobs) -> None:
    jobs.behaviours["a"] = failing(1, "SageMaker.CAPACITY_ERROR")
    engine.create(pipeline(processing("a")))
    arn = run(engine)
    assert engine.steps(arn)["a"]["FailureReason"] == (
        f"no capacity\nRetry not appropriate on execution of step with PipelineExecutionArn {arn} and "
        "StepId a. No retry policy configured for the exception type SAGEMAKER_CAPACITY_ERROR."
    )


def test_a_stop_during_the_pause_ends_the_step(engine: Engine, jobs: FakeJobs) -> None:
    jobs.behaviours["a"] = failing(9, "SageMaker.CAPACITY_ERROR")
    engine.create(with_policy(ExceptionType=["SageMaker.CAPACITY_ERROR"], MaxAttempts=9, IntervalSeconds=60))
    arn = engine.start()
    until(lambda: jobs.runs, "the first run")
    engine.call("StopPipelineExecution", PipelineExecutionArn=arn, ClientRequestToken="s" * 32)
    assert engine.ended(arn)["PipelineExecutionStatus"] == "Stopped"
    assert engine.statuses(arn) == {"a": "Stopped"}
