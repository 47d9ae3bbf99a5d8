from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sagemaker_pipelines.definition import Problem, check, lint
from sagemaker_pipelines.exceptions import InvalidDefinitionError
from tests.unit.definition.samples import MODEL, sound_definition

Definition = dict[str, Any]


def test_a_sound_definition_has_no_problems(definition: Definition) -> None:
    assert lint(definition, MODEL) == []
    check(definition, MODEL)


def _train(definition: Definition) -> Definition:
    found: Definition = definition["Steps"][0]
    return found


def _gate(definition: Definition) -> Definition:
    found: Definition = definition["Steps"][2]["Arguments"]
    return found


def _condition(definition: Definition, condition: object) -> None:
    _gate(definition)["Conditions"] = [condition]


def _parameter(definition: Definition, **changes: object) -> None:
    definition["Parameters"][0].update(changes)


def _argument(definition: Definition, value: object) -> None:
    _train(definition)["Arguments"]["OutputDataConfig"]["S3OutputPath"] = value


#: What is broken; the step that is named; a part of the message; a part of the fix.
BROKEN: list[tuple[str, Callable[[Definition], object], str | None, str, str]] = [
    ("version", lambda d: d.update(Version="2019"), None, "Version is '2019'", "2020-12-01"),
    ("no steps", lambda d: d.update(Steps=[]), None, "no Steps", "at least one step"),
    ("type", lambda d: _train(d).update(Type="Trainig"), "Train", "unknown step type 'Trainig'", "Training"),
    ("name", lambda d: _train(d).update(Name="a b"), "a b", "'a b' is not a step name", "letters, digits"),
    ("long name", lambda d: _train(d).update(Name="a" * 65), "a" * 65, "is not a step name", "1 to 64"),
    ("no name", lambda d: _train(d).pop("Name"), "(unnamed)", "the name ''", "1 to 64"),
    (
        "duplicate",
        lambda d: _gate(d)["IfSteps"][0].update(Name="Train"),
        "Train",
        "2 steps have this name",
        "in every branch",
    ),
    (
        "no output",
        lambda d: _train(d)["Arguments"].pop("OutputDataConfig"),
        "Train",
        "Training step has no OutputDataConfig",
        "add",
    ),
    (
        "no container",
        lambda d: _gate(d)["IfSteps"][0]["Arguments"].pop("PrimaryContainer"),
        "Create",
        "no PrimaryContainer or Containers",
        "add",
    ),
    (
        "number for text",
        lambda d: _train(d)["Arguments"].update(HyperParameters={"eta": {"Get": "Parameters.Threshold"}}),
        "Train",
        "HyperParameters[eta] is the Float parameter Threshold",
        "to_string()",
    ),
    ("arguments", lambda d: _train(d).update(Arguments=[]), "Train", "Arguments is []", "object"),
    ("branch", lambda d: _gate(d).update(IfSteps="Create"), "Gate", 'IfSteps is "Create"', "list"),
    ("missing dependency", lambda d: _train(d).update(DependsOn=["Prep"]), "Train", "'Prep'", "name one of"),
    (
        "dependency type",
        lambda d: _train(d).update(DependsOn="Report"),
        "Train",
        "DependsOn is 'Report'",
        "list",
    ),
    (
        "cycle",
        lambda d: _train(d).update(DependsOn=["Report"]),
        "Train",
        "Train waits for Report waits for",
        "remove",
    ),
    ("self", lambda d: _train(d).update(DependsOn=["Train"]), "Train", "Train waits for Train", "remove"),
    (
        "missing step",
        lambda d: _argument(d, {"Get": "Steps.Prep.Outputs"}),
        "Train",
        "'Steps.Prep.Outputs' refers to a step that does not exist",
        "name one of Create, Gate",
    ),
    (
        "step in a join",
        lambda d: _argument(d, {"Std:Join": {"On": "/", "Values": ["a", {"Get": "Steps.Prep.X"}]}}),
        "Train",
        "'Steps.Prep.X'",
        "name one of",
    ),
    (
        "property of a condition",
        lambda d: _train(d)["Arguments"].update(X={"Get": "Steps.Gate.Conditions"}),
        "Train",
        "refers to a property that a Condition step does not have",
        "DependsOn",
    ),
    (
        "missing parameter",
        lambda d: _argument(d, {"Get": "Parameters.Dat"}),
        "Train",
        "'Parameters.Dat' refers to a parameter that is not declared",
        "Threshold, Data",
    ),
    (
        "execution variable",
        lambda d: _argument(d, {"Get": "Execution.Id"}),
        "Train",
        "'Execution.Id' is not an execution variable",
        "PipelineExecutionId",
    ),
    ("namespace", lambda d: _argument(d, {"Get": "Step.Train"}), "Train", "'Step.Train' is no", "Steps."),
    ("no reference", lambda d: _argument(d, {"Get": ""}), "Train", "'' is not a reference", "Steps."),
    (
        "function",
        lambda d: _argument(d, {"Std:Jion": {}}),
        "Train",
        "'Std:Jion' is not a function",
        "Std:Join",
    ),
    ("join", lambda d: _argument(d, {"Std:Join": {"On": "/"}}), "Train", "Std:Join has", "Values"),
    (
        "join of a list",
        lambda d: _argument(d, {"Std:Join": {"On": "/", "Values": ["a", ["b"]]}}),
        "Train",
        "Std:Join has the value ['b']",
        "expressions only",
    ),
    (
        "json get",
        lambda d: _argument(d, {"Std:JsonGet": {"Path": "a"}}),
        "Train",
        "Std:JsonGet has",
        "PropertyFile",
    ),
    (
        "json path",
        lambda d: _argument(d, {"Std:JsonGet": {"S3Uri": "s3://b/k", "Path": {"Get": "Parameters.Data"}}}),
        "Train",
        "the Path of Std:JsonGet is {'Get': 'Parameters.Data'}",
        "make it a string",
    ),
    (
        "property file",
        lambda d: d["Steps"][1].update(PropertyFiles=[]),
        "Gate",
        "a property file that step Report does not declare",
        "property_files of Report",
    ),
    (
        "property file's output",
        lambda d: d["Steps"][1]["PropertyFiles"][0].update(OutputName="reprot"),
        "Report",
        "in the output 'reprot', which does not exist",
        "use one of its outputs: report",
    ),
    ("condition type", lambda d: _condition(d, {"Type": "Is"}), "Gate", "'Is' is not a type", "LessThan"),
    ("condition", lambda d: _condition(d, "x"), "Gate", "'None' is not a type of condition", "use one of"),
    (
        "right value",
        lambda d: _condition(d, {"Type": "Equals", "LeftValue": 1}),
        "Gate",
        "type Equals has no RightValue",
        "LeftValue and RightValue",
    ),
    ("in", lambda d: _condition(d, {"Type": "In", "QueryValue": 1}), "Gate", "In has no Values", "Values"),
    (
        "inside or and not",
        lambda d: _condition(d, {"Type": "Or", "Conditions": [{"Type": "Not", "Condition": {"Type": "Is"}}]}),
        "Gate",
        "'Is' is not a type",
        "use one of",
    ),
    (
        "no condition",
        lambda d: _gate(d).update(Conditions=[]),
        "Gate",
        "Conditions has 0 entries",
        "at least 1",
    ),
    (
        "long error",
        lambda d: _gate(d)["ElseSteps"][0]["Arguments"].update(ErrorMessage="x" * 3073),
        "Reject",
        "3073 characters",
        "at most 3072",
    ),
    (
        "inputs",
        lambda d: d["Steps"][1]["Arguments"].update(ProcessingInputs=[{}] * 11),
        "Report",
        "ProcessingInputs has 11 entries",
        "at most 10",
    ),
    (
        "hyperparameter",
        lambda d: _train(d)["Arguments"].update(HyperParameters={"eta": "1" * 2501}),
        "Train",
        "HyperParameters[eta] has 2501 characters",
        "at most 2500",
    ),
    (
        "parameters",
        lambda d: d["Parameters"].extend({"Name": f"P{n}", "Type": "String"} for n in range(199)),
        None,
        "201 parameters are declared",
        "file that a step reads",
    ),
    ("parameter list", lambda d: d.update(Parameters={}), None, "Parameters is not a list", "declare each"),
    ("parameter name", lambda d: _parameter(d, Name="a b"), None, "parameter name 'a b'", "letters"),
    ("parameter twice", lambda d: _parameter(d, Name="Data"), None, "2 parameters have the name Data", "own"),
    ("parameter type", lambda d: _parameter(d, Type="Double"), None, "has the type 'Double'", "Float"),
    (
        "text default",
        lambda d: _parameter(d, DefaultValue="6.0"),
        None,
        "'6.0' (str), which is not of type Float",
        "Float",
    ),
    (
        "bool default",
        lambda d: _parameter(d, DefaultValue=True),
        None,
        "True (bool), which is not of type Float",
        "Float",
    ),
    (
        "float default",
        lambda d: _parameter(d, Type="Integer"),
        None,
        "6.0 (float), which is not of type Integer",
        "type",
    ),
    (
        "default outside the enum",
        lambda d: _parameter(d, Type="String", DefaultValue="c", EnumValues=["a", "b"]),
        None,
        "expected one of a, b",
        "change it",
    ),
    ("enum", lambda d: _parameter(d, EnumValues=[1]), None, "EnumValues [1]", "list of strings"),
    (
        "long default",
        lambda d: _parameter(d, Type="String", DefaultValue="x" * 1025),
        None,
        "1025 characters long",
        "at most 1024",
    ),
]


@pytest.mark.parametrize(
    ("break_it", "step", "message", "fix"), [case[1:] for case in BROKEN], ids=[case[0] for case in BROKEN]
)
def test_a_broken_definition_is_reported_with_its_step_and_the_fix(
    definition: Definition, break_it: Callable[[Definition], object], step: str | None, message: str, fix: str
) -> None:
    break_it(definition)
    problems = lint(definition, MODEL)
    assert any(
        problem.step == step and message in problem.message and fix in problem.fix for problem in problems
    ), "\n".join(map(str, problems))


def test_the_outcome_of_a_condition_may_be_read(definition: Definition) -> None:
    _train(definition)["Arguments"]["X"] = {"Get": "Steps.Gate.Outcome"}
    assert not [problem for problem in lint(definition, MODEL) if "property" in problem.message]


def test_a_default_that_is_known_only_after_deployment_is_not_judged(definition: Definition) -> None:
    """Its length and its enum are those of the filled value."""
    _parameter(definition, Type="String", DefaultValue="${artifact_bucket}" * 100, EnumValues=["a"])
    assert lint(definition, MODEL) == []


def test_what_has_no_arguments_of_a_known_shape_is_let_through(definition: Definition) -> None:
    """Types that are not checked in detail are still known types."""
    definition["Steps"].append({"Name": "L", "Type": "Lambda", "FunctionArn": "arn", "Arguments": {}})
    assert lint(definition, MODEL) == []


def test_a_problem_reads_as_one_sentence() -> None:
    assert str(Problem("Train", "it has no role", "add one")) == "step Train: it has no role; add one."
    assert str(Problem(None, "it has no steps", "add one")) == "it has no steps; add one."


def test_all_problems_are_raised_together(definition: Definition) -> None:
    definition["Version"] = "1"
    _train(definition)["Type"] = "Trainig"
    with pytest.raises(InvalidDefinitionError) as refused:
        check(definition, MODEL, name="abalone")
    assert len(refused.value.problems) == 2
    assert str(refused.value).startswith("abalone: 2 problems in the definition:\n  - Version is '1'")


def _paths(value: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value."""
    items: Any = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    return [path, *(inner for key, item in items for inner in _paths(item, (*path, key)))]


@settings(max_examples=1000)
@given(data=st.data())
def test_no_damage_makes_the_linter_itself_fail(data: st.DataObject) -> None:
    """A value of any type in any place is at worst a problem, never a traceback."""
    damaged: Any = sound_definition()
    path = data.draw(st.sampled_from(_paths(damaged)[1:]))
    junk = data.draw(
        st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.just([1]) | st.just({"a": 1})
    )
    holder = damaged
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = junk
    assert all(problem.message and problem.fix for problem in lint(damaged, MODEL))
