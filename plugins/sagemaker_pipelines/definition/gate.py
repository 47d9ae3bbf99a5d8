"""The gate of a definition: the Condition that compares a metric with its threshold.

The definition says which report contains the metric, and which Fail steps mean "rejected", so a DAG does
not have to repeat it.
"""

from __future__ import annotations

import operator as operators
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sagemaker_pipelines.definition.document import iter_steps
from sagemaker_pipelines.definition.parameters import Parameter, parameters_of
from sagemaker_pipelines.definition.references import Reference, calls, parse_reference, references
from sagemaker_pipelines.exceptions import GateError

_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "Equals": operators.eq,
    "GreaterThan": operators.gt,
    "GreaterThanOrEqualTo": operators.ge,
    "LessThan": operators.lt,
    "LessThanOrEqualTo": operators.le,
}
# How people write the comparison, if it holds and if it does not.
_SIGNS = {
    "Equals": ("==", "!="),
    "GreaterThan": (">", "<="),
    "GreaterThanOrEqualTo": (">=", "<"),
    "LessThan": ("<", ">="),
    "LessThanOrEqualTo": ("<=", ">"),
}
_NAMES = {holds: name for name, (holds, _) in _SIGNS.items()}
_MIRRORED = {name: _NAMES[holds.translate(str.maketrans("<>", "><"))] for name, (holds, _) in _SIGNS.items()}
_METRICS = (
    "a JsonGet of a property file, a training step's FinalMetricDataList['<metric>'].Value, a tuning "
    "step's BestTrainingJob.FinalHyperParameterTuningJobObjectiveMetric.Value, or an output of a Lambda step"
)


@dataclass(frozen=True)
class Gate:
    """Where the metric is, what it is compared with, and what a rejection looks like.

    :param condition_step: name of the Condition step.
    :param operator: the comparison ``metric <operator> threshold`` that accepts a model, by its name in
        the definition (``LessThanOrEqualTo``).
    :param report_step: name of the Processing step that writes the report, of the Training or Tuning step
        whose job has the metric, or of the Lambda step whose output it is.
    :param property_file: name of the property file; empty without a report.
    :param output_name: the output of the report step that contains the file; empty without a report.
    :param file_path: path of the file below that output; empty without a report.
    :param json_path: path of the metric in the file (``regression_metrics.mse.value``); without a report,
        the metric's name.
    :param threshold: the parameter that contains the threshold, or the constant itself.
    :param rejection_steps: names of the Fail steps in the branch of the Condition that rejects a model.
    :param metric_name: the metric (``validation:rmse``) that is read from ``FinalMetricDataList`` of the
        training job, the objective metric of the tuning job, or the output of the Lambda step; None where
        the metric is in a report.
    :param is_tuned: whether the metric is that of a tuning job's best training job.
    :param is_output: whether the metric is an output of a Lambda step.
    """

    condition_step: str
    operator: str
    report_step: str
    property_file: str
    output_name: str
    file_path: str
    json_path: str
    threshold: Parameter | float
    rejection_steps: tuple[str, ...]
    metric_name: str | None = None
    is_tuned: bool = False
    is_output: bool = False

    @property
    def label(self) -> str:
        """What people call the metric: the last name of its path that is not ``value``."""
        parts = re.findall(r"""\[['"]([^'"]+)['"]\]|([^.\[\]]+)""", self.json_path)
        names = [quoted or plain for quoted, plain in parts if plain != "value"]
        return names[-1] if names else self.json_path

    def sign(self, passed: bool) -> str:
        """Return how metric and threshold compare, such as ``<=``."""
        return _SIGNS[self.operator][0 if passed else 1]

    def passes(self, metric: float, threshold: float) -> bool:
        """Return whether a metric passes a threshold. NaN never does."""
        return _COMPARE[self.operator](metric, threshold)


def gate_of(definition: Mapping[str, Any], *, condition_step: str | None = None) -> Gate:
    """Return the gate of a definition.

    :param definition: the definition as parsed JSON, filled or not.
    :param condition_step: name of the Condition step, needed where several read a metric.
    :raise GateError: when the definition has no such Condition, or it is not one comparison of one metric.
    """
    try:
        return _gate_of(definition, condition_step)
    except (AttributeError, KeyError, TypeError) as error:
        raise GateError(
            "The gate cannot be read, because a condition or property file does not have the form that the "
            f"SDK gives it ({type(error).__name__}: {error}). Correct the definition, or declare the DAG "
            "with gate=False."
        ) from error


def _gate_of(definition: Mapping[str, Any], condition_step: str | None) -> Gate:
    step = _condition(definition, condition_step)
    name = str(step["Name"])
    conditions = step["Arguments"].get("Conditions", [])
    if len(conditions) != 1 or conditions[0].get("Type") not in _COMPARE:
        raise GateError(
            f"Condition step {name!r} is not one comparison of a metric with a threshold "
            f"({len(conditions)} conditions: {', '.join(str(c.get('Type')) for c in conditions)}): "
            "name another step with condition_step, or compare the metric in a task of your own."
        )
    operator, metric, threshold = _sides(definition, name, conditions[0])
    operator, rejections = _acceptance(name, operator, step["Arguments"])
    gate = Gate(
        condition_step=name,
        operator=operator,
        threshold=_threshold(definition, name, threshold),
        rejection_steps=rejections,
        **_source(definition, name, metric),
    )
    for text in (gate.property_file, gate.output_name, gate.file_path, gate.json_path):
        if not isinstance(text, str):
            raise TypeError(f"{text!r} is not text")
    return gate


def _condition(definition: Mapping[str, Any], wanted: str | None) -> dict[str, Any]:
    """Return the Condition step that is the gate: the one asked for, or the only one that reads a metric."""
    conditions = {
        str(step["Name"]): step for step in iter_steps(definition) if step.get("Type") == "Condition"
    }
    if wanted is not None:
        if wanted not in conditions:
            known = ", ".join(conditions) or "none"
            raise GateError(
                f"The definition has no Condition step {wanted!r}; its Condition steps are {known}. Correct "
                "condition_step."
            )
        return conditions[wanted]
    read = {name: step["Arguments"].get("Conditions") for name, step in conditions.items()}
    gates = [name for name, compared in read.items() if calls("Std:JsonGet", compared) or _metrics(compared)]
    # Beside a metric of a model, an output of a function only says which way to go.
    gates = gates or [name for name, compared in read.items() if _outputs(definition, compared)]
    if not gates:
        seen = ", ".join(sorted({r.text for compared in read.values() for r in references(compared)}))
        raise GateError(
            "No Condition step reads a metric: the definition's Condition steps "
            f"({', '.join(read) or 'none'}) read {seen or 'nothing'}, expected {_METRICS}. Add such a "
            "condition, or declare the DAG with gate=False."
        )
    if len(gates) > 1:
        raise GateError(
            f"{len(gates)} Condition steps read a metric ({', '.join(gates)}), expected one: "
            "name the one that is the gate with condition_step."
        )
    return conditions[gates[0]]


def _metrics(value: Any) -> list[Reference]:
    """Return the references to metrics of training and tuning jobs in a value."""
    return [
        reference
        for reference in references(value)
        if reference.training_metric is not None or reference.is_tuning_metric
    ]


def _outputs(definition: Mapping[str, Any], value: Any) -> list[Reference]:
    """Return the references to outputs of Lambda steps in a value."""
    functions = {step["Name"] for step in iter_steps(definition) if step.get("Type") == "Lambda"}
    return [found for found in references(value) if found.output_parameter and found.name in functions]


def _sides(
    definition: Mapping[str, Any], name: str, condition: Mapping[str, Any]
) -> tuple[str, dict[str, Any], Any]:
    """Return the operator with the metric on its left, the metric's expression, and the threshold."""
    left, right = condition.get("LeftValue"), condition.get("RightValue")
    metrics = [
        isinstance(side, dict) and ("Std:JsonGet" in side or _metrics(side) or _outputs(definition, side))
        for side in (left, right)
    ]
    if bool(metrics[0]) != bool(metrics[1]):
        if metrics[0]:
            return condition["Type"], left, right  # type: ignore[return-value]
        return _MIRRORED[condition["Type"]], right, left  # type: ignore[return-value]
    raise GateError(
        f"Condition step {name!r} compares {left!r} with {right!r}, expected {_METRICS} on one side and a "
        "threshold on the other. Correct the condition, or name another step with condition_step."
    )


def _source(definition: Mapping[str, Any], name: str, metric: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of the gate that describe where its metric is."""
    if "Std:JsonGet" in metric:
        path = metric["Std:JsonGet"]
        step, report = _property_file(definition, name, path)
        return {
            "report_step": step,
            "property_file": report["PropertyFileName"],
            "output_name": report["OutputName"],
            "file_path": report["FilePath"],
            "json_path": path["Path"],
        }
    outputs = _outputs(definition, metric)
    if outputs:
        output = outputs[0].output_parameter
        return _without_report(outputs[0].name, output) | {"is_output": True}
    (reference,) = _metrics(metric)
    kind = "Tuning" if reference.is_tuning_metric else "Training"
    steps = {s["Name"]: s for s in iter_steps(definition) if s.get("Type") == kind}
    if reference.name not in steps:
        raise GateError(
            f"Condition step {name!r} reads its metric from {reference.text!r}, expected a {kind} step of "
            "this definition. Correct the reference."
        )
    metric_name = reference.training_metric or _objective(steps[reference.name]["Arguments"])
    return _without_report(reference.name, metric_name) | {"is_tuned": reference.is_tuning_metric}


def _without_report(step: str, metric_name: Any) -> dict[str, Any]:
    return {
        "report_step": step,
        "json_path": metric_name,
        "metric_name": metric_name,
        "property_file": "",
        "output_name": "",
        "file_path": "",
    }


def _objective(arguments: Mapping[str, Any]) -> Any:
    """Return the name of the metric that a tuning job optimizes."""
    config = arguments["HyperParameterTuningJobConfig"]
    objective = config.get("HyperParameterTuningJobObjective")
    return (objective or arguments["TrainingJobDefinition"]["TuningObjective"])["MetricName"]


def _property_file(
    definition: Mapping[str, Any], name: str, metric: Mapping[str, Any]
) -> tuple[str, dict[str, Any]]:
    """Return the step that writes the metric's property file, and the file's declaration."""
    source = metric.get("PropertyFile")
    reference = parse_reference(source["Get"]) if isinstance(source, dict) and "Get" in source else None
    for step in iter_steps(definition):
        if reference is None or step["Name"] != reference.name:
            continue
        for declared in step.get("PropertyFiles", ()):
            if declared["PropertyFileName"] == reference.property_file:
                return reference.name, declared
    raise GateError(
        f"Condition step {name!r} reads its metric from {metric!r}, expected a property file that a "
        "Processing step of this definition declares. Declare it in property_files of that step."
    )


def _threshold(definition: Mapping[str, Any], name: str, value: Any) -> Parameter | float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, dict) and isinstance(value.get("Get"), str):
        reference = parse_reference(value["Get"])
        for parameter in parameters_of(definition):
            if reference.kind == "Parameters" and parameter.name == reference.name:
                return parameter
    raise GateError(
        f"Condition step {name!r} has the threshold {value!r}, expected a number or a parameter of the "
        "definition. Correct the condition."
    )


def _acceptance(name: str, operator: str, arguments: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """Return the comparison that accepts a model, and the Fail steps of the other branch.

    A Condition may hold for bad models instead: its IfSteps have a Fail step then, and its ElseSteps none.
    """
    held, rejected = arguments.get("IfSteps") or [], _fail_steps(arguments.get("ElseSteps"))
    if rejected or not any(step.get("Type") == "Fail" for step in held):
        return operator, rejected
    if operator == "Equals":
        raise GateError(
            f"Condition step {name!r} rejects a model whose metric Equals the threshold, expected less or "
            "greater than. Correct the condition, or declare the DAG with gate=False."
        )
    return _NAMES[_SIGNS[operator][1]], _fail_steps(held)


def _fail_steps(steps: Any) -> tuple[str, ...]:
    found = iter_steps({"Steps": steps or []})
    return tuple(str(step["Name"]) for step in found if step.get("Type") == "Fail")
