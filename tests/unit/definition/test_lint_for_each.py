"""What the linter says about ForEach and Cleanup steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagemaker_pipelines.aws.starts import steps_from
from sagemaker_pipelines.definition import lint, step_graph
from sagemaker_pipelines.exceptions import ParameterError
from tests.unit.definition.samples import MODEL

Definition = dict[str, Any]


def get(text: str) -> dict[str, str]:
    return {"Get": text}


def fail(name: str, message: Any = "", **fields: Any) -> dict[str, Any]:
    return {"Name": name, "Type": "Fail", "Arguments": {"ErrorMessage": message}, **fields}


def callback(name: str, value: Any = "x", **fields: Any) -> dict[str, Any]:
    return {"Name": name, "Type": "Callback", "SqsQueueUrl": "q", "Arguments": {"value": value}, **fields}


def definition() -> Definition:
    each = {
        "Name": "Each",
        "Type": "ForEach",
        "Arguments": {
            "IterableItems": ["a", get("Steps.First.OutputParameters['x']")],
            "MaxConcurrency": 2,
            "Selector": {"Pick": "MaxBy", "Field": get("IterationOutput.Ask.OutputParameters['x']")},
            "ForEachBody": [
                callback("Ask", get("ForEach.CurrentItem.name")),
                callback("Then", get("Steps.Ask.OutputParameters['x']")),
                callback("Last", get("Steps.Second.OutputParameters['x']")),
            ],
        },
    }
    after = {
        "Std:Join": {
            "On": "",
            "Values": [
                get("Steps.Each.Selected.OutputParameters['x']"),
                get("Steps.Each.IterationOutputs[0].Ask.OutputParameters['x']"),
            ],
        }
    }
    clean = {"Resources": {"S3": [{"StepName": "First", "S3Uris": ["s3://b/k"]}]}}
    return {
        "Version": "2020-12-01",
        "Parameters": [{"Name": "Items", "Type": "String"}],
        "Steps": [
            callback("First"),
            callback("Second"),
            each,
            fail("After", after),
            {"Name": "Clean", "Type": "Cleanup", "Arguments": clean, "DependsOn": ["First"]},
        ],
    }


def problems(change: Callable[[Definition, dict[str, Any], list[Any]], None]) -> str:
    made = definition()
    arguments = made["Steps"][2]["Arguments"]
    change(made, arguments, arguments["ForEachBody"])
    return "\n".join(map(str, lint(made, MODEL)))


def test_a_correct_loop_has_no_problems() -> None:
    assert problems(lambda made, arguments, body: None) == ""


def test_a_loop_waits_for_what_the_steps_in_its_body_need() -> None:
    graph = step_graph(definition())
    assert graph["Each"] == {"First", "Second"}
    assert graph["Then"] == {"Each", "Ask"}


def test_only_the_loop_can_be_selected_for_a_start() -> None:
    assert steps_from(definition(), "Second") == ["Second", "Each", "After"]
    with pytest.raises(ParameterError, match="from_step is 'Ask'"):
        steps_from(definition(), "Ask")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda made, a, body: a.update(IterableItems=[]), "IterableItems has 0 entries"),
        (lambda made, a, body: a.update(IterableItems=["x"] * 101), "IterableItems has 101 entries"),
        (lambda made, a, body: a.update(IterableItems="text"), "IterableItems is 'text'"),
        (lambda made, a, body: a.update(IterableItems=[{"a": 1}]), "IterableItems has {'a': 1}"),
        (lambda made, a, body: a.update(MaxConcurrency=51), "MaxConcurrency is 51"),
        (lambda made, a, body: a.pop("MaxConcurrency"), "has no MaxConcurrency"),
        (
            lambda made, a, body: body.append(fail("No")),
            "a Fail step is in the body of the ForEach step Each",
        ),
        (lambda made, a, body: a["Selector"].update(Pick="First"), "the Pick of the Selector is 'First'"),
        (
            lambda made, a, body: a["Selector"].update(Field=get("IterationOutput.First.x")),
            "make it IterationOutput.<step>.<property> of a step in the body: Ask, Then, Last",
        ),
        (
            lambda made, a, body: a["Selector"].update(Field=get("IterationOutput.Ask")),
            "the Field of the Selector is {'Get': 'IterationOutput.Ask'}",
        ),
        (
            lambda made, a, body: made["Steps"].append(fail("X", get("ForEach.CurrentItem"))),
            "X: 'ForEach.CurrentItem' has no value here",
        ),
        (
            lambda made, a, body: body.append(callback("X", get("IterationOutput.Ask.x"))),
            "X: 'IterationOutput.Ask.x' has no value here",
        ),
        (
            lambda made, a, body: made["Steps"].append(fail("X", get("Steps.Ask.OutputParameters['x']"))),
            "X: it needs the step Ask, which is in the body of the ForEach step Each",
        ),
        (
            lambda made, a, body: made["Steps"].append(fail("X", DependsOn=["Ask"])),
            "X: it needs the step Ask, which is in the body of the ForEach step Each",
        ),
        (
            lambda made, a, body: body.append(callback("X", get("Steps.Each.Status"))),
            "X: it needs the ForEach step Each, which contains it",
        ),
        (lambda made, a, body: made["Steps"].append(fail("Ask-1")), "a child of the step Ask"),
        (
            lambda made, a, body: body.append(callback("X", get("Steps.After.x"))),
            "the steps wait for each other",
        ),
        (
            lambda made, a, body: made["Steps"][4].pop("DependsOn"),
            "Clean: it deletes the outputs of the step 'First' without waiting for it",
        ),
        (
            lambda made, a, body: made["Steps"][4]["Arguments"]["Resources"]["S3"].append(
                {"StepName": "Gone"}
            ),
            "Clean: it deletes the outputs of the step 'Gone', which does not exist",
        ),
        (
            lambda made, a, body: (
                made["Steps"][0].update(Type="Processing"),
                made["Steps"][4]["Arguments"]["Resources"]["S3"][0].pop("S3Uris"),
            ),
            "Clean: it deletes the outputs of the Processing step 'First' without S3Uris; name the objects",
        ),
    ],
)
def test_a_mistake_is_named(change: Any, message: str) -> None:
    assert message in problems(change)


def paths(value: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value."""
    items: Any = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    return [path, *(inner for key, item in items for inner in paths(item, (*path, key)))]


@given(
    path=st.sampled_from(paths(definition())[1:]),
    junk=st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.just([1]) | st.just({"a": 1}),
)
def test_no_damage_makes_the_linter_itself_fail(path: tuple[Any, ...], junk: Any) -> None:
    damaged: Any = definition()
    holder = damaged
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = junk
    assert all(problem.message and problem.fix for problem in lint(damaged, MODEL))
