from __future__ import annotations

import copy
import math
from typing import Any

import pytest

from sagemaker_pipelines.definition import Parameter, gate_of
from sagemaker_pipelines.exceptions import GateError


def _condition(definition: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = definition["Steps"][2]["Arguments"]["Conditions"][0]
    return found


def test_the_gate_is_read_from_the_condition_and_the_property_file(definition: dict[str, Any]) -> None:
    gate = gate_of(definition)
    assert (gate.condition_step, gate.operator) == ("Gate", "LessThanOrEqualTo")
    assert (gate.report_step, gate.property_file) == ("Report", "File")
    assert (gate.output_name, gate.file_path, gate.json_path) == ("report", "report.json", "metrics.mse")
    assert gate.threshold == Parameter("Threshold", "Float", 6.0)
    assert gate.rejection_steps == ("Reject",)


@pytest.mark.parametrize(
    ("metric", "threshold", "passes"),
    [(5.9, 6.0, True), (6.0, 6.0, True), (6.1, 6.0, False), (math.nan, 6.0, False), (math.inf, 6.0, False)],
)
def test_a_metric_passes_as_the_condition_says(
    definition: dict[str, Any], metric: float, threshold: float, passes: bool
) -> None:
    assert gate_of(definition).passes(metric, threshold) is passes


def test_a_metric_on_the_right_turns_the_operator_round(definition: dict[str, Any]) -> None:
    """6.0 >= mse says what mse <= 6.0 says."""
    condition = _condition(definition)
    condition.update(
        Type="GreaterThanOrEqualTo", LeftValue=condition["RightValue"], RightValue=condition["LeftValue"]
    )
    assert gate_of(definition).operator == "LessThanOrEqualTo"


def test_a_constant_threshold_is_a_number(definition: dict[str, Any]) -> None:
    _condition(definition)["RightValue"] = 3
    assert gate_of(definition).threshold == 3.0


def test_among_several_gates_one_must_be_named(definition: dict[str, Any]) -> None:
    second = copy.deepcopy(definition["Steps"][2])
    second["Name"] = "Second"
    definition["Steps"].append(second)
    with pytest.raises(GateError, match=r"2 Condition steps read a metric \(Gate, Second\)"):
        gate_of(definition)
    assert gate_of(definition, condition_step="Second").condition_step == "Second"


def test_fail_steps_of_a_condition_inside_the_else_branch_reject_too(definition: dict[str, Any]) -> None:
    arguments = definition["Steps"][2]["Arguments"]
    nested = {
        "Name": "Inner",
        "Type": "Condition",
        "Arguments": {"Conditions": [], "IfSteps": arguments["ElseSteps"], "ElseSteps": []},
    }
    arguments["ElseSteps"] = [nested]
    assert gate_of(definition, condition_step="Gate").rejection_steps == ("Reject",)


def _swap_branches(definition: dict[str, Any]) -> None:
    arguments = definition["Steps"][2]["Arguments"]
    arguments["IfSteps"], arguments["ElseSteps"] = arguments["ElseSteps"], arguments["IfSteps"]


@pytest.mark.parametrize(
    ("compared", "accepts"),
    [
        ("GreaterThan", "LessThanOrEqualTo"),
        ("GreaterThanOrEqualTo", "LessThan"),
        ("LessThan", "GreaterThanOrEqualTo"),
        ("LessThanOrEqualTo", "GreaterThan"),
    ],
)
@pytest.mark.parametrize("turned", [False, True])
def test_a_condition_that_holds_for_a_bad_model_accepts_by_the_opposite(
    definition: dict[str, Any], compared: str, accepts: str, turned: bool
) -> None:
    """``if mse > 6: Fail, else: Register`` accepts ``mse <= 6``."""
    _swap_branches(definition)
    condition = _condition(definition)
    condition["Type"] = compared
    if turned:
        old, new = ("Less", "Greater") if "Less" in compared else ("Greater", "Less")
        condition["Type"] = compared.replace(old, new)
        condition.update(LeftValue=condition["RightValue"], RightValue=condition["LeftValue"])
    gate = gate_of(definition)
    assert (gate.operator, gate.rejection_steps) == (accepts, ("Reject",))
    assert not gate.passes(math.nan, 6.0)


def test_a_gate_that_rejects_what_equals_a_number_is_refused(definition: dict[str, Any]) -> None:
    _swap_branches(definition)
    _condition(definition)["Type"] = "Equals"
    with pytest.raises(GateError, match=r"'Gate' rejects a model .* Equals .*gate=False"):
        gate_of(definition)


def test_a_fail_step_further_down_the_if_branch_does_not_turn_the_gate_round(
    definition: dict[str, Any],
) -> None:
    """It is the rejection of another Condition."""
    arguments = definition["Steps"][2]["Arguments"]
    inner = {"Conditions": [], "IfSteps": arguments.pop("ElseSteps"), "ElseSteps": []}
    arguments["IfSteps"] = [{"Name": "Inner", "Type": "Condition", "Arguments": inner}]
    gate = gate_of(definition, condition_step="Gate")
    assert (gate.operator, gate.rejection_steps) == ("LessThanOrEqualTo", ())


def _training_metric(definition: dict[str, Any], step: str = "Train") -> None:
    definition["Steps"].append({"Name": "Train", "Type": "Training", "Arguments": {}})
    _condition(definition)["LeftValue"] = {
        "Get": f"Steps.{step}.FinalMetricDataList['validation:rmse'].Value"
    }


def test_a_gate_may_read_a_metric_of_a_training_job(definition: dict[str, Any]) -> None:
    _training_metric(definition)
    gate = gate_of(definition)
    assert (gate.condition_step, gate.operator) == ("Gate", "LessThanOrEqualTo")
    assert (gate.report_step, gate.metric_name) == ("Train", "validation:rmse")
    assert gate.threshold == Parameter("Threshold", "Float", 6.0)
    assert gate.rejection_steps == ("Reject",)


@pytest.mark.parametrize("best", ["BestTrainingJob", "TrainingJobSummaries[0]"])
def test_a_gate_may_read_the_best_metric_of_a_tuning_job(definition: dict[str, Any], best: str) -> None:
    objective = {"HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "validation:rmse"}}
    tune = {"Name": "Tune", "Type": "Tuning", "Arguments": {"HyperParameterTuningJobConfig": objective}}
    definition["Steps"].append(tune)
    _condition(definition)["LeftValue"] = {
        "Get": f"Steps.Tune.{best}.FinalHyperParameterTuningJobObjectiveMetric.Value"
    }
    gate = gate_of(definition)
    assert (gate.report_step, gate.metric_name, gate.is_tuned) == ("Tune", "validation:rmse", True)
    tune["Type"] = "Training"
    with pytest.raises(GateError, match="expected a Tuning step"):
        gate_of(definition)


def test_a_gate_may_read_an_output_of_a_lambda_step(definition: dict[str, Any]) -> None:
    definition["Steps"].append({"Name": "Ask", "Type": "Lambda", "FunctionArn": "arn", "Arguments": {}})
    metric = _condition(definition)["LeftValue"]
    _condition(definition)["LeftValue"] = {"Get": "Steps.Ask.OutputParameters['mse']"}
    gate = gate_of(definition)
    assert (gate.report_step, gate.metric_name, gate.label, gate.is_output) == ("Ask", "mse", "mse", True)
    second = copy.deepcopy(definition["Steps"][2])
    second["Name"] = "Second"
    _condition({"Steps": [None, None, second]})["LeftValue"] = metric
    definition["Steps"].append(second)
    assert gate_of(definition).condition_step == "Second", "a metric of a report comes first"


def test_a_condition_that_reads_no_metric_is_named_with_what_it_reads(definition: dict[str, Any]) -> None:
    _condition(definition)["LeftValue"] = {"Get": "Steps.Tune.BestTrainingJob.TrainingJobName"}
    expected = (
        r"No Condition step reads a metric: the definition's Condition steps \(Gate\) read "
        r"Parameters.Threshold, Steps.Tune.BestTrainingJob.TrainingJobName, expected a JsonGet"
    )
    with pytest.raises(GateError, match=expected):
        gate_of(definition)


def _metric_of_no_training(definition: dict[str, Any]) -> None:
    _training_metric(definition, step="Report")


def _two_conditions(definition: dict[str, Any]) -> None:
    definition["Steps"][2]["Arguments"]["Conditions"] *= 2


def _not(definition: dict[str, Any]) -> None:
    steps = definition["Steps"][2]["Arguments"]
    steps["Conditions"] = [{"Type": "Not", "Condition": steps["Conditions"][0]}]


def _undeclared_file(definition: dict[str, Any]) -> None:
    definition["Steps"][1]["PropertyFiles"] = []


def _text_threshold(definition: dict[str, Any]) -> None:
    _condition(definition)["RightValue"] = "six"


def _true_threshold(definition: dict[str, Any]) -> None:
    _condition(definition)["RightValue"] = True


def _no_metric(definition: dict[str, Any]) -> None:
    _condition(definition)["LeftValue"] = {"Get": "Parameters.Threshold"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_two_conditions, "2 conditions"),
        (_not, "1 conditions: Not"),
        (_undeclared_file, "expected a property file"),
        (_text_threshold, "the threshold 'six'"),
        (_true_threshold, "the threshold True"),
        (_no_metric, "No Condition step reads a metric"),
        (_metric_of_no_training, "expected a Training step"),
    ],
)
def test_what_is_not_one_comparison_of_one_metric_is_no_gate(
    definition: dict[str, Any], change: Any, message: str
) -> None:
    change(definition)
    with pytest.raises(GateError, match=message):
        gate_of(definition)


def test_an_unknown_condition_step_is_refused_with_the_known_ones(definition: dict[str, Any]) -> None:
    with pytest.raises(GateError, match=r"no Condition step 'Gat'; .* are Gate\."):
        gate_of(definition, condition_step="Gat")
