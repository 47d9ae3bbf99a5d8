"""Selective execution runs the selected steps and takes the rest from its source."""

from __future__ import annotations

from typing import Any

import pytest

from sagemaker_local_runtime.exceptions import ValidationError
from tests.runtime.engine.definitions import condition, get, pipeline, processing
from tests.runtime.engine.doubles import Engine, FakeJobs, fail

TRUE = {"Type": "Equals", "LeftValue": 1, "RightValue": 1}
DEFINITION = pipeline(
    processing("a", Environment={"OUT": "from-a"}),
    processing("b", Environment={"IN": get("Steps.a.Environment['OUT']")}),
    processing("c", "b"),
    condition("gate", [TRUE], [processing("d", "c")], [], "c"),
)


def selective(source: str | None, *names: str) -> dict[str, Any]:
    config: dict[str, Any] = {"SelectedSteps": [{"StepName": name} for name in names]}
    if source:
        config["SourcePipelineExecutionArn"] = source
    return {"SelectiveExecutionConfig": config}


@pytest.fixture
def source(engine: Engine, jobs: FakeJobs) -> str:
    engine.create(DEFINITION)
    arn = engine.start()
    engine.ended(arn)
    jobs.runs.clear()
    return arn


def test_only_selected_steps_run_with_the_sources_outputs(
    engine: Engine, jobs: FakeJobs, source: str
) -> None:
    arn = engine.start(**selective(source, "b", "c"))
    described = engine.ended(arn)
    assert described["PipelineExecutionStatus"] == "Succeeded"
    assert described["SelectiveExecutionConfig"]["SourcePipelineExecutionArn"] == source
    assert jobs.order() == ["b", "c"]
    assert jobs.runs[0].arguments["Environment"] == {"IN": "from-a"}


def test_a_reused_step_is_listed_with_its_source_and_its_job(engine: Engine, source: str) -> None:
    arn = engine.start(**selective(source, "b"))
    engine.ended(arn)
    steps = engine.steps(arn)
    assert steps.keys() == {"a", "b"}
    assert steps["a"]["SelectiveExecutionResult"] == {"SourcePipelineExecutionArn": source}
    assert steps["a"]["Metadata"] == engine.steps(source)["a"]["Metadata"]
    assert "SelectiveExecutionResult" not in steps["b"]


def test_the_first_step_needs_no_source(engine: Engine, jobs: FakeJobs, source: str) -> None:
    engine.ended(engine.start(**selective(None, "a")))
    assert jobs.order() == ["a"]


def test_a_selected_step_of_a_branch_runs_without_its_condition(
    engine: Engine, jobs: FakeJobs, source: str
) -> None:
    engine.ended(engine.start(**selective(source, "d")))
    assert jobs.order() == ["d"]


def test_a_selected_condition_decides_about_its_selected_branch(
    engine: Engine, jobs: FakeJobs, source: str
) -> None:
    arn = engine.start(**selective(source, "gate", "d"))
    engine.ended(arn)
    assert jobs.order() == ["d"]
    assert engine.steps(arn)["gate"]["Metadata"]["Condition"]["Outcome"] == "True"


def test_a_missing_source_is_refused_with_sagemakers_text(engine: Engine, source: str) -> None:
    with pytest.raises(ValidationError) as error:
        engine.start(**selective(None, "b"))
    assert error.value.message == (
        "Invalid SourcePipelineExecutionArn: null. The selected steps [b] have dependencies on [a]"
    )


def test_a_gap_between_selected_steps_is_refused(engine: Engine, source: str) -> None:
    with pytest.raises(ValidationError, match=r"\[b\] lie on a path between two selected steps"):
        engine.start(**selective(source, "a", "c"))


def test_an_unknown_step_is_refused(engine: Engine, source: str) -> None:
    with pytest.raises(ValidationError, match=r"\[zzz\] are not steps"):
        engine.start(**selective(source, "zzz"))


def test_the_source_must_be_an_execution_of_this_pipeline(engine: Engine, source: str) -> None:
    engine.create(DEFINITION, name="other")
    with pytest.raises(ValidationError, match="is not an execution of pipeline"):
        engine.start("other", **selective(source, "b"))


def test_the_source_must_have_what_the_selected_steps_need(
    engine: Engine, jobs: FakeJobs, source: str
) -> None:
    jobs.behaviours["a"] = fail
    broken = engine.start()
    engine.ended(broken)
    with pytest.raises(ValidationError, match=r"step 'a' of .* is Failed"):
        engine.start(**selective(broken, "b"))


def test_a_retry_of_a_selective_execution_keeps_what_it_reused(
    engine: Engine, jobs: FakeJobs, source: str
) -> None:
    jobs.behaviours["b"] = fail
    arn = engine.start(**selective(source, "b"))
    engine.ended(arn)
    jobs.behaviours = {}
    engine.call("RetryPipelineExecution", PipelineExecutionArn=arn, ClientRequestToken="r" * 32)
    assert engine.ended(arn)["PipelineExecutionStatus"] == "Succeeded"
    assert jobs.runs[-1].arguments["Environment"] == {"IN": "from-a"}
