"""Steps run as the graph allows, in parallel up to the limit."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from sagemaker_local_runtime.engine.steps.base import StepOutcome, StepRun
from tests.runtime.engine.definitions import condition, fail_step, get, pipeline, processing
from tests.runtime.engine.doubles import Engine, FakeJobs, fail, succeed, until_stopped
from tests.waiting import GENEROUS_SECONDS

FAILURE = "Step failure: One or multiple steps failed."
SMALLER = {"Type": "LessThan", "LeftValue": get("Parameters.Mse"), "RightValue": 6.0}
MSE = [{"Name": "Mse", "Type": "Float", "DefaultValue": 4.9}]


def run(engine: Engine, definition: dict[str, Any], **request: Any) -> str:
    engine.create(definition)
    arn = engine.start(**request)
    engine.ended(arn)
    return arn


def test_a_chain_runs_in_order_and_succeeds(engine: Engine, jobs: FakeJobs) -> None:
    arn = run(engine, pipeline(processing("c", "b"), processing("b", "a"), processing("a")))
    assert jobs.order() == ["a", "b", "c"]
    assert engine.describe(arn)["PipelineExecutionStatus"] == "Succeeded"
    assert "FailureReason" not in engine.describe(arn)


def test_a_step_receives_the_outputs_of_the_step_that_it_refers_to(engine: Engine, jobs: FakeJobs) -> None:
    uri = "s3://bucket/train"
    output = {"S3Uri": uri, "LocalPath": "/opt/ml/processing/train", "S3UploadMode": "EndOfJob"}
    outputs = {"Outputs": [{"OutputName": "train", "S3Output": output}]}
    reference = get("Steps.a.ProcessingOutputConfig.Outputs['train'].S3Output.S3Uri")
    run(
        engine,
        pipeline(
            processing("a", ProcessingOutputConfig=outputs), processing("b", Environment={"IN": reference})
        ),
    )
    assert jobs.runs[1].arguments["Environment"] == {"IN": uri}


def test_independent_steps_run_at_the_same_time(engine: Engine, jobs: FakeJobs) -> None:
    barrier = threading.Barrier(3, timeout=GENEROUS_SECONDS)

    def meet(step_run: StepRun) -> StepOutcome:
        barrier.wait()
        return succeed(step_run)

    jobs.behaviours = dict.fromkeys("abc", meet)
    arn = run(engine, pipeline(*map(processing, "abc")))
    assert set(engine.statuses(arn).values()) == {"Succeeded"}


@pytest.mark.parametrize("where", ["pipeline", "execution"])
def test_max_parallel_execution_steps_bounds_what_runs(engine: Engine, jobs: FakeJobs, where: str) -> None:
    pair = threading.Barrier(2, timeout=GENEROUS_SECONDS)

    def meet(step_run: StepRun) -> StepOutcome:
        pair.wait()
        return succeed(step_run)

    limit: dict[str, Any] = {"ParallelismConfiguration": {"MaxParallelExecutionSteps": 2}}
    loose: dict[str, Any] = {"ParallelismConfiguration": {"MaxParallelExecutionSteps": 8}}
    jobs.behaviours = dict.fromkeys("abcdef", meet)
    engine.create(pipeline(*map(processing, "abcdef")), **(limit if where == "pipeline" else loose))
    arn = engine.start(**(limit if where == "execution" else {}))
    assert engine.ended(arn)["ParallelismConfiguration"] == limit["ParallelismConfiguration"]
    assert jobs.most_active == 2


def test_a_raised_limit_takes_effect_while_the_execution_runs(engine: Engine, jobs: FakeJobs) -> None:
    started = threading.Barrier(3, timeout=GENEROUS_SECONDS)

    def meet(step_run: StepRun) -> StepOutcome:
        started.wait()
        return succeed(step_run)

    jobs.behaviours = dict.fromkeys("ab", meet)
    engine.create(pipeline(*map(processing, "ab")), ParallelismConfiguration={"MaxParallelExecutionSteps": 1})
    arn = engine.start()
    engine.call(
        "UpdatePipelineExecution",
        PipelineExecutionArn=arn,
        ParallelismConfiguration={"MaxParallelExecutionSteps": 2},
    )
    started.wait()
    assert engine.ended(arn)["PipelineExecutionStatus"] == "Succeeded"


def test_a_lowered_limit_starts_nothing_until_enough_has_ended(engine: Engine, jobs: FakeJobs) -> None:
    release = threading.Event()
    started = threading.Semaphore(0)

    def held(step_run: StepRun) -> StepOutcome:
        started.release()
        assert release.wait(GENEROUS_SECONDS)
        return succeed(step_run)

    jobs.behaviours = dict.fromkeys("abcd", held)
    first: dict[str, Any] = {"ParallelismConfiguration": {"MaxParallelExecutionSteps": 2}}
    engine.create(pipeline(*map(processing, "abcd")))
    arn = engine.start(**first)
    for _ in range(2):
        assert started.acquire(timeout=GENEROUS_SECONDS)
    lowered = {"ParallelismConfiguration": {"MaxParallelExecutionSteps": 1}}
    engine.call("UpdatePipelineExecution", PipelineExecutionArn=arn, **lowered)
    assert set(engine.statuses(arn)) == {"a", "b"}
    release.set()
    engine.ended(arn)
    assert jobs.most_active == 2


def test_a_result_that_cannot_be_stored_fails_the_execution_instead_of_hanging(
    engine: Engine, jobs: FakeJobs
) -> None:
    jobs.behaviours["a"] = lambda run: StepOutcome(status="Succeeded", properties={"Broken": object()})
    arn = run(engine, pipeline(processing("a"), processing("b", "a")))
    described = engine.describe(arn)
    assert described["PipelineExecutionStatus"] == "Failed"
    assert "InternalServerError: TypeError" in described["FailureReason"]
    assert engine.statuses(arn) == {"a": "Failed"}


def test_only_the_branch_that_the_condition_takes_runs(engine: Engine, jobs: FakeJobs) -> None:
    definition = pipeline(
        condition("gate", [SMALLER], [processing("register")], [fail_step("reject", "too bad")]),
        processing("after-register", "register"),
        processing("after-reject", "reject"),
        parameters=MSE,
    )
    arn = run(engine, definition)
    assert engine.statuses(arn) == dict.fromkeys(["gate", "register", "after-register"], "Succeeded")
    assert engine.steps(arn)["gate"]["Metadata"] == {"Condition": {"Outcome": "True"}}


def test_a_fail_step_fails_the_execution_with_its_joined_message(engine: Engine) -> None:
    message = {"Std:Join": {"On": "", "Values": ["MSE > ", get("Parameters.Mse")]}}
    definition = pipeline(condition("gate", [SMALLER], [], [fail_step("reject", message)]), parameters=MSE)
    arn = run(engine, definition, PipelineParameters=[{"Name": "Mse", "Value": "7.5"}])
    step = engine.steps(arn)["reject"]
    assert step["StepStatus"] == "Failed"
    assert step["FailureReason"] == "MSE > 7.5"
    assert step["Metadata"] == {"Fail": {"ErrorMessage": "MSE > 7.5"}}
    assert engine.describe(arn)["PipelineExecutionStatus"] == "Failed"
    assert engine.describe(arn)["FailureReason"] == FAILURE


def test_a_fail_step_ends_what_runs_beside_it(engine: Engine, jobs: FakeJobs) -> None:
    jobs.behaviours["long"] = until_stopped
    arn = run(engine, pipeline(processing("long"), fail_step("stop", "no")))
    assert engine.statuses(arn) == {"long": "Stopped", "stop": "Failed"}
    assert engine.describe(arn)["PipelineExecutionStatus"] == "Failed"


def test_a_failed_step_stops_what_depends_on_it_and_lets_the_rest_run(engine: Engine, jobs: FakeJobs) -> None:
    jobs.behaviours["a"] = fail
    definition = pipeline(
        processing("a"), processing("after-a", "a"), processing("b"), processing("after-b", "b")
    )
    arn = run(engine, definition)
    assert engine.statuses(arn) == {"a": "Failed", "b": "Succeeded", "after-b": "Succeeded"}
    assert engine.steps(arn)["a"]["FailureReason"] == "AlgorithmError: a broke"
    assert engine.describe(arn)["FailureReason"] == FAILURE


def test_a_step_that_runs_on_a_failure_completes_the_execution_with_failures(
    engine: Engine, jobs: FakeJobs
) -> None:
    jobs.behaviours["a"] = fail
    definition = pipeline(
        processing("a"),
        processing("b", "a"),
        processing("notify", {"Step": "a", "Trigger": "Failed"}),
        processing("always", {"Step": "a", "Trigger": "Any"}),
    )
    arn = run(engine, definition)
    assert engine.statuses(arn) == {"a": "Failed", "notify": "Succeeded", "always": "Succeeded"}
    assert engine.describe(arn)["PipelineExecutionStatus"] == "CompletedWithFailures"


def test_a_step_for_failures_does_not_run_after_a_success(engine: Engine) -> None:
    definition = pipeline(processing("a"), processing("notify", {"Step": "a", "Trigger": "Failed"}))
    arn = run(engine, definition)
    assert engine.statuses(arn) == {"a": "Succeeded"}
    assert engine.describe(arn)["PipelineExecutionStatus"] == "Succeeded"


def test_an_unhandled_failure_beside_a_handled_one_fails_the_execution(
    engine: Engine, jobs: FakeJobs
) -> None:
    jobs.behaviours = {"a": fail, "b": fail}
    definition = pipeline(
        processing("a"), processing("b"), processing("notify", {"Step": "a", "Trigger": "Failed"})
    )
    arn = run(engine, definition)
    assert engine.describe(arn)["PipelineExecutionStatus"] == "Failed"


def test_an_unresolvable_reference_fails_the_step_that_holds_it(engine: Engine) -> None:
    definition = pipeline(processing("a"), processing("b", Environment={"X": get("Steps.a.Nothing")}))
    arn = run(engine, definition)
    assert engine.statuses(arn) == {"a": "Succeeded", "b": "Failed"}
    assert "'Nothing' is not there" in engine.steps(arn)["b"]["FailureReason"]


def test_an_error_inside_the_runtime_fails_the_step_instead_of_hanging(
    engine: Engine, jobs: FakeJobs
) -> None:
    def broken(step_run: StepRun) -> StepOutcome:
        raise ZeroDivisionError("oops")

    jobs.behaviours["a"] = broken
    arn = run(engine, pipeline(processing("a")))
    assert engine.steps(arn)["a"]["FailureReason"] == "InternalServerError: ZeroDivisionError: oops"
    assert engine.describe(arn)["PipelineExecutionStatus"] == "Failed"


def test_a_property_file_decides_the_branch(engine: Engine) -> None:
    engine.objects.content["s3://bucket/eval/evaluation.json"] = b'{"mse": {"value": 4.9}}'
    evaluate = processing(
        "evaluate",
        ProcessingOutputConfig={
            "Outputs": [
                {
                    "OutputName": "evaluation",
                    "S3Output": {
                        "S3Uri": "s3://bucket/eval",
                        "LocalPath": "/opt/ml/processing/eval",
                        "S3UploadMode": "EndOfJob",
                    },
                }
            ]
        },
    )
    evaluate["PropertyFiles"] = [
        {"PropertyFileName": "Report", "OutputName": "evaluation", "FilePath": "evaluation.json"}
    ]
    left = {"Std:JsonGet": {"PropertyFile": get("Steps.evaluate.PropertyFiles.Report"), "Path": "mse.value"}}
    conditions = [{"Type": "LessThanOrEqualTo", "LeftValue": left, "RightValue": 6.0}]
    arn = run(engine, pipeline(evaluate, condition("gate", conditions, [processing("register")], [])))
    assert engine.statuses(arn) == dict.fromkeys(["evaluate", "gate", "register"], "Succeeded")


def test_execution_variables_are_those_of_the_execution(engine: Engine, jobs: FakeJobs) -> None:
    names = ["PipelineName", "PipelineArn", "PipelineExecutionId", "PipelineExecutionArn", "StartDateTime"]
    environment = {name: get(f"Execution.{name}") for name in [*names, "ProcessingJobName"]}
    engine.create(pipeline(processing("a", Environment=environment)), name="MyPipe")
    arn = engine.start("MyPipe")
    engine.ended(arn)
    seen = jobs.runs[0].arguments["Environment"]
    assert seen["PipelineName"] == "mypipe"
    assert seen["PipelineExecutionArn"] == arn
    assert seen["PipelineArn"] == arn.partition("/execution/")[0]
    assert seen["PipelineExecutionId"] == arn.rpartition("/")[2]
    assert seen["ProcessingJobName"] == jobs.runs[0].job_name
    assert seen["StartDateTime"].endswith("Z")


def test_events_tell_every_change_in_order(engine: Engine) -> None:
    run(engine, pipeline(processing("a")))
    assert engine.events.seen == [
        ("execution", None, "Executing"),
        ("a", None, "Starting"),
        ("a", "Starting", "Executing"),
        ("a", "Executing", "Succeeded"),
        ("execution", "Executing", "Succeeded"),
    ]
