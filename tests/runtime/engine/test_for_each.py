"""ForEach steps: children, concurrency, references, selection, failure, stop, retry and cache."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from sagemaker_local_runtime.engine.steps.base import StepOutcome, StepRun
from sagemaker_local_runtime.exceptions import AwsError
from tests.runtime.engine.definitions import fail_step, get, pipeline, processing
from tests.runtime.engine.doubles import Engine, FakeJobs, fail, succeed, token, until_stopped
from tests.waiting import GENEROUS_SECONDS, until

ITEM = {"Environment": {"ITEM": get("ForEach.CurrentItem")}}


def for_each(items: Any, *body: Any, limit: int = 5, selector: Any = None, **fields: Any) -> dict[str, Any]:
    arguments = {"IterableItems": items, "MaxConcurrency": limit, "ForEachBody": list(body)}
    if selector:
        arguments["Selector"] = selector
    return {"Name": "Each", "Type": "ForEach", "Arguments": arguments, **fields}


def executed(engine: Engine, *steps: Any, **definition: Any) -> str:
    engine.create(pipeline(*steps, **definition))
    arn = engine.start()
    engine.ended(arn)
    return arn


def environments(jobs: FakeJobs) -> dict[str, Any]:
    return {run.name: run.arguments["Environment"] for run in jobs.runs}


def test_each_item_has_a_child_of_each_step_of_the_body(engine: Engine, jobs: FakeJobs) -> None:
    arn = executed(engine, for_each(["a", 2, True], processing("Work", **ITEM)))
    assert environments(jobs) == {
        "Work-0": {"ITEM": "a"},
        "Work-1": {"ITEM": 2},
        "Work-2": {"ITEM": True},
    }
    steps = engine.steps(arn)
    assert engine.statuses(arn) == dict.fromkeys(["Each", "Work-0", "Work-1", "Work-2"], "Succeeded")
    assert steps["Work-1"]["IterationContext"] == {"ParentStepName": "Each", "Index": 1, "Item": "2"}
    assert steps["Each"]["Metadata"]["ForEach"] == {
        "Status": "Succeeded",
        "InputItemCount": 3,
        "TotalStepCount": 3,
        "SucceededStepCount": 3,
        "FailedStepCount": 0,
        "StoppedStepCount": 0,
    }
    assert ("Work-2", "Executing", "Succeeded") in engine.events.seen


def test_the_items_may_be_the_json_text_of_a_list_with_objects(engine: Engine, jobs: FakeJobs) -> None:
    environment = {"NAME": get("ForEach.CurrentItem.name"), "DEEP": get("ForEach.CurrentItem['a'].b[1]")}
    parameter = {"Name": "Items", "Type": "String", "DefaultValue": '[{"name": "x", "a": {"b": [1, 2]}}]'}
    arn = executed(
        engine,
        for_each(get("Parameters.Items"), processing("Work", Environment=environment)),
        parameters=[parameter],
    )
    assert engine.statuses(arn)["Each"] == "Succeeded"
    assert environments(jobs) == {"Work-0": {"NAME": "x", "DEEP": 2}}


def test_an_item_of_a_literal_list_may_be_the_json_text_of_an_object(engine: Engine, jobs: FakeJobs) -> None:
    environment = {"NAME": get("ForEach.CurrentItem.name"), "ALL": get("ForEach.CurrentItem")}
    executed(engine, for_each(['{"name": "x"}'], processing("Work", Environment=environment)))
    assert environments(jobs) == {"Work-0": {"NAME": "x", "ALL": '{"name": "x"}'}}


@pytest.mark.parametrize(
    ("items", "message"),
    [("no list", "which is not JSON"), ('{"a": 1}', "expected a list, or the JSON text of a list")],
)
def test_items_that_are_no_list_fail_the_step(engine: Engine, items: str, message: str) -> None:
    parameter = {"Name": "Items", "Type": "String", "DefaultValue": items}
    arn = executed(engine, for_each(get("Parameters.Items"), processing("Work")), parameters=[parameter])
    assert message in engine.steps(arn)["Each"]["FailureReason"]


def test_no_more_children_run_than_allowed(engine: Engine, jobs: FakeJobs) -> None:
    both = threading.Barrier(2)

    def meet(step_run: StepRun) -> StepOutcome:
        both.wait(GENEROUS_SECONDS)
        return succeed(step_run)

    jobs.behaviours = {f"Work-{index}": meet for index in range(4)}
    executed(engine, for_each([1, 2, 3, 4], processing("Work"), limit=2))
    assert (jobs.most_active, len(jobs.runs)) == (2, 4)


def test_a_step_of_the_body_follows_the_one_of_its_own_iteration(engine: Engine, jobs: FakeJobs) -> None:
    before = get("Steps.Prepare.Environment.ITEM")
    arn = executed(
        engine,
        processing("First", Environment={"X": "first"}),
        for_each(
            ["a", "b"],
            processing("Use", Environment={"ITEM": before, "OUTSIDE": get("Steps.First.Environment.X")}),
            processing("Prepare", **ITEM),
        ),
    )
    assert engine.statuses(arn)["Each"] == "Succeeded"
    assert environments(jobs)["Use-1"] == {"ITEM": "b", "OUTSIDE": "first"}
    order = jobs.order()
    assert order[0] == "First"
    assert order.index("Prepare-0") < order.index("Use-0")


@pytest.mark.parametrize(("pick", "index"), [("MaxBy", 1), ("MinBy", 2)])
def test_the_selected_iteration_and_all_others_are_properties(
    engine: Engine, jobs: FakeJobs, pick: str, index: int
) -> None:
    items = ["2", "10", "-1"]
    selector = {"Pick": pick, "Field": get("IterationOutput.Work.Environment.ITEM")}
    values = [
        get("Steps.Each.Selected.Environment.ITEM"),
        get("Steps.Each.IterationOutputs[0].Work.Environment.ITEM"),
        get("Steps.Each.SucceededStepCount"),
    ]
    message = {"Std:Join": {"On": " ", "Values": values}}
    arn = executed(
        engine, for_each(items, processing("Work", **ITEM), selector=selector), fail_step("Show", message)
    )
    steps = engine.steps(arn)
    assert steps["Show"]["FailureReason"] == f"{items[index]} 2 3"
    chosen = {"StepName": f"Work-{index}", "Index": index}
    assert steps["Each"]["Metadata"]["ForEach"]["Selector"] == chosen


@pytest.mark.parametrize("item", ["high", "nan"])
def test_a_selector_that_compares_no_number_fails_the_step(engine: Engine, item: str) -> None:
    selector = {"Pick": "MaxBy", "Field": get("IterationOutput.Work.Environment.ITEM")}
    arn = executed(engine, for_each(["1", item], processing("Work", **ITEM), selector=selector))
    reason = engine.steps(arn)["Each"]["FailureReason"]
    assert f"which is '{item}' in iteration 1; expected a number" in reason


def test_a_failed_child_fails_the_step_and_not_its_neighbours(engine: Engine, jobs: FakeJobs) -> None:
    jobs.behaviours = {"Work-0": fail}
    after = processing("After", "Work")
    arn = executed(engine, for_each(["a", "b"], processing("Work"), after))
    statuses = engine.statuses(arn)
    assert statuses == {"Each": "Failed", "Work-0": "Failed", "Work-1": "Succeeded", "After-1": "Succeeded"}
    step = engine.steps(arn)["Each"]
    assert step["FailureReason"] == "1 of 3 child steps failed: Work-0."
    assert step["Metadata"]["ForEach"] == {
        "Status": "Failed",
        "InputItemCount": 2,
        "TotalStepCount": 3,
        "SucceededStepCount": 2,
        "FailedStepCount": 1,
        "StoppedStepCount": 0,
    }
    assert engine.describe(arn)["PipelineExecutionStatus"] == "Failed"


def test_a_retry_runs_only_the_children_that_have_not_succeeded(engine: Engine, jobs: FakeJobs) -> None:
    jobs.behaviours = {"Work-1": fail}
    arn = executed(engine, for_each(["a", "b"], processing("Work", **ITEM)))
    jobs.behaviours.clear()
    jobs.runs.clear()
    engine.call("RetryPipelineExecution", PipelineExecutionArn=arn, ClientRequestToken=token())
    assert engine.ended(arn)["PipelineExecutionStatus"] == "Succeeded"
    assert jobs.order() == ["Work-1"]
    assert engine.steps(arn)["Each"]["Metadata"]["ForEach"]["SucceededStepCount"] == 2


def test_a_retry_of_a_step_before_it_runs_every_child_again(engine: Engine, jobs: FakeJobs) -> None:
    jobs.behaviours = {"Work-1": fail}
    arn = executed(engine, processing("First"), for_each(["a", "b"], processing("Work"), DependsOn=["First"]))
    engine.runtime.account.store.update("execution-step", f"{arn}/First", StepStatus="Failed")
    jobs.behaviours.clear()
    jobs.runs.clear()
    engine.call("RetryPipelineExecution", PipelineExecutionArn=arn, ClientRequestToken=token())
    engine.ended(arn)
    assert sorted(jobs.order()) == ["First", "Work-0", "Work-1"]


def test_a_stop_ends_the_running_children_and_starts_no_others(engine: Engine, jobs: FakeJobs) -> None:
    jobs.behaviours = {"Work-0": until_stopped}
    engine.create(pipeline(for_each(["a", "b"], processing("Work"), limit=1)))
    arn = engine.start()
    until(lambda: jobs.active)
    engine.call("StopPipelineExecution", PipelineExecutionArn=arn, ClientRequestToken=token())
    assert engine.ended(arn)["PipelineExecutionStatus"] == "Stopped"
    assert engine.statuses(arn) == {"Each": "Stopped", "Work-0": "Stopped"}
    assert engine.steps(arn)["Each"]["Metadata"]["ForEach"]["StoppedStepCount"] == 2


def test_a_runtime_that_ends_leaves_no_child_executing(engine: Engine, jobs: FakeJobs) -> None:
    jobs.behaviours = {"Work-0": until_stopped}
    engine.create(pipeline(for_each(["a"], processing("Work"))))
    arn = engine.start()
    until(lambda: jobs.active)
    engine.runtime.executions.shutdown()
    assert engine.statuses(arn) == {"Each": "Failed", "Work-0": "Failed"}


def test_a_child_is_cached_by_its_own_arguments(engine: Engine, jobs: FakeJobs) -> None:
    cached = processing("Work", **ITEM) | {"CacheConfig": {"Enabled": True, "ExpireAfter": "P1D"}}
    parameter = {"Name": "Items", "Type": "String", "DefaultValue": '["a", "b"]'}
    engine.create(pipeline(for_each(get("Parameters.Items"), cached), parameters=[parameter]))
    first = engine.start()
    engine.ended(first)
    second = engine.start(PipelineParameters=[{"Name": "Items", "Value": '["a", "c"]'}])
    engine.ended(second)
    steps = engine.steps(second)
    assert steps["Work-0"]["CacheHitResult"] == {"SourcePipelineExecutionArn": first}
    assert "CacheHitResult" not in steps["Work-1"]


def test_a_selective_execution_runs_all_children_or_reuses_their_outputs(
    engine: Engine, jobs: FakeJobs
) -> None:
    use = processing("Use", Environment={"X": get("Steps.Each.IterationOutputs[1].Work.Environment.ITEM")})
    first = executed(engine, for_each(["a", "b"], processing("Work", **ITEM)), use)
    jobs.runs.clear()

    def selected(name: str, **config: Any) -> str:
        arn = engine.start(SelectiveExecutionConfig={"SelectedSteps": [{"StepName": name}], **config})
        engine.ended(arn)
        return arn

    assert set(engine.statuses(selected("Each"))) == {"Each", "Work-0", "Work-1"}
    jobs.runs.clear()
    selected("Use", SourcePipelineExecutionArn=first)
    assert environments(jobs) == {"Use": {"X": "b"}}
    with pytest.raises(AwsError, match="are not steps of the pipeline definition"):
        selected("Work")


def test_an_engine_fault_in_a_child_fails_the_child(engine: Engine, jobs: FakeJobs) -> None:
    def explode(step_run: StepRun) -> StepOutcome:
        raise RuntimeError("disk on fire")

    jobs.behaviours = {"Work-0": explode}
    arn = executed(engine, for_each(["a"], processing("Work")))
    assert engine.statuses(arn) == {"Each": "Failed", "Work-0": "Failed"}
    assert "disk on fire" in engine.steps(arn)["Work-0"]["FailureReason"]
