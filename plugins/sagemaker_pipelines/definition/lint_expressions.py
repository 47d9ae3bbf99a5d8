"""Check the expressions of a step: references, functions and conditions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sagemaker_pipelines.definition.document import iter_steps, objects, value_at
from sagemaker_pipelines.definition.problem import Problem
from sagemaker_pipelines.definition.references import Reference, is_expression, references

#: The SDK's ExecutionVariables (sagemaker 3.27.0).
EXECUTION_VARIABLES = frozenset(
    {
        "CurrentDateTime",
        "PipelineArn",
        "PipelineExecutionArn",
        "PipelineExecutionId",
        "PipelineName",
        "ProcessingJobName",
        "StartDateTime",
        "TrainingJobName",
    }
)

FUNCTIONS = frozenset({"Std:Join", "Std:JsonGet"})

#: Namespaces that exist only in the body of a ForEach step.
_FOR_EACH = frozenset({"ForEach", "IterationOutput"})

#: Steps that have almost no properties to refer to.
# The SDK's ConditionStep has only its Outcome; FailStep has nothing.
_FEW_PROPERTIES: Mapping[str, frozenset[str]] = {"Condition": frozenset({".Outcome"}), "Fail": frozenset()}

_COMPARISONS = frozenset({"Equals", "GreaterThan", "GreaterThanOrEqualTo", "LessThan", "LessThanOrEqualTo"})


def lint_expressions(name: str, own: Mapping[str, Any], definition: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield the problems of all expressions in one step.

    :param name: the step's name.
    :param own: the step without the steps that it contains.
    :param definition: the whole definition, in which references are resolved.
    """
    for reference in references(own):
        yield from _reference(name, reference, definition)
    yield from _functions(name, own)
    if own.get("Type") == "Condition":
        conditions = value_at(own, "Arguments.Conditions")
        if isinstance(conditions, list):
            for condition in conditions:
                yield from _condition(name, condition)


def _reference(name: str, reference: Reference, definition: Mapping[str, Any]) -> Iterator[Problem]:
    if reference.kind == "Steps":
        yield from _step_reference(name, reference, definition)
    elif reference.kind == "Parameters":
        known = [item.get("Name") for item in objects(definition.get("Parameters"))]
        if reference.name not in known:
            yield Problem(
                name,
                f"{reference.text!r} refers to a parameter that is not declared",
                f"declare it, or use one of {', '.join(map(str, known)) or '(none declared)'}",
            )
    elif reference.kind == "Execution":
        if reference.name not in EXECUTION_VARIABLES:
            yield Problem(
                name,
                f"{reference.text!r} is not an execution variable",
                f"use one of {', '.join(sorted(EXECUTION_VARIABLES))}",
            )
    elif reference.kind not in _FOR_EACH:
        yield Problem(
            name,
            f"{reference.text!r} is not a reference",
            "begin it with 'Steps.', 'Parameters.' or 'Execution.'",
        )


def _step_reference(name: str, reference: Reference, definition: Mapping[str, Any]) -> Iterator[Problem]:
    steps = {str(step.get("Name")): step for step in iter_steps(definition)}
    target = steps.get(reference.name)
    if target is None:
        yield Problem(
            name,
            f"{reference.text!r} refers to a step that does not exist",
            f"name one of {', '.join(sorted(steps))}",
        )
    elif reference.rest not in _FEW_PROPERTIES.get(str(target.get("Type")), {reference.rest}):
        yield Problem(
            name,
            f"{reference.text!r} refers to a property that a {target['Type']} step does not have",
            "put the step's name into DependsOn instead",
        )
    elif reference.property_file is not None:
        yield from _property_file(name, reference, target)


def _property_file(name: str, reference: Reference, target: Mapping[str, Any]) -> Iterator[Problem]:
    """Check that a property file is declared by its step, for an output that the step has."""
    declared = {str(item.get("PropertyFileName")): item for item in objects(target.get("PropertyFiles"))}
    if reference.property_file not in declared:
        yield Problem(
            name,
            f"{reference.text!r} refers to a property file that step {reference.name} does not declare",
            f"add it to the property_files of {reference.name}",
        )
        return
    wanted = declared[reference.property_file].get("OutputName")
    outputs = objects(value_at(target, "Arguments.ProcessingOutputConfig.Outputs"))
    names = [output.get("OutputName") for output in outputs]
    if wanted not in names:
        yield Problem(
            reference.name,
            f"property file {reference.property_file!r} is in the output {wanted!r}, which does not exist",
            f"use one of its outputs: {', '.join(map(str, names)) or '(none)'}",
        )


def _functions(name: str, value: Any) -> Iterator[Problem]:
    if isinstance(value, list):
        for item in value:
            yield from _functions(name, item)
    if not isinstance(value, Mapping):
        return
    for key, item in value.items():
        if str(key).startswith("Std:"):
            yield from _function(name, str(key), item)
        yield from _functions(name, item)


def _function(name: str, key: str, body: Any) -> Iterator[Problem]:
    if key not in FUNCTIONS:
        yield Problem(
            name, f"{key!r} is not a function of a definition", f"use one of {', '.join(sorted(FUNCTIONS))}"
        )
        return
    body = body if isinstance(body, Mapping) else {}
    if key == "Std:Join":
        yield from _join(name, body)
    if key == "Std:JsonGet":
        yield from _json_get(name, body)


def _join(name: str, body: Mapping[str, Any]) -> Iterator[Problem]:
    values = body.get("Values")
    if not (isinstance(values, list) and isinstance(body.get("On", ""), str)):
        yield Problem(name, f"Std:Join has {dict(body)!r}", 'give it {"On": text, "Values": [...]}')
        return
    for value in values:
        if isinstance(value, list | Mapping) and not is_expression(value):
            yield Problem(
                name, f"Std:Join has the value {value!r}", "give it strings, numbers and expressions only"
            )


def _json_get(name: str, body: Mapping[str, Any]) -> Iterator[Problem]:
    path = body.get("Path")
    if not path or ("PropertyFile" in body) == ("S3Uri" in body):
        yield Problem(
            name, f"Std:JsonGet has {dict(body)!r}", 'give it "Path" and one of "PropertyFile" and "S3Uri"'
        )
    elif not isinstance(path, str):
        # JsonGet.json_path is a str in the SDK 3.27.0, where S3Uri may be a Join.
        yield Problem(name, f"the Path of Std:JsonGet is {path!r}", "make it a string, not an expression")


def _condition(name: str, condition: Any) -> Iterator[Problem]:
    condition = condition if isinstance(condition, Mapping) else {}
    kind = str(condition.get("Type"))
    if kind in _COMPARISONS:
        needed: tuple[str, ...] = ("LeftValue", "RightValue")
    elif kind == "In":
        needed = ("QueryValue", "Values")
    elif kind == "Or":
        needed = ("Conditions",)
        for inner in objects(condition.get("Conditions")):
            yield from _condition(name, inner)
    elif kind == "Not":
        # The service's documentation says Expression, the SDK 3.27.0 emits Condition.
        key = "Condition" if "Condition" in condition else "Expression"
        needed = (key,)
        if key in condition:
            yield from _condition(name, condition[key])
    else:
        known = ", ".join(sorted(_COMPARISONS | {"In", "Not", "Or"}))
        yield Problem(name, f"{kind!r} is not a type of condition", f"use one of {known}")
        return
    for key in needed:
        if condition.get(key) is None:
            yield Problem(name, f"a condition of type {kind} has no {key}", f"give it {' and '.join(needed)}")
