from __future__ import annotations

from typing import Any

import pytest

from sagemaker_pipelines.definition import Envelope, Parameter, gate_of, iter_steps, lint, step_graph
from stack.definitions import DEFINITIONS
from tests.unit.definition.samples import MODEL


@pytest.fixture(scope="module")
def abalone() -> Envelope:
    return Envelope.load(DEFINITIONS / "abalone.json")


@pytest.fixture(scope="module")
def scoring() -> Envelope:
    return Envelope.load(DEFINITIONS / "scoring.json")


def _arguments(envelope: Envelope, name: str) -> dict[str, Any]:
    steps = {step["Name"]: step["Arguments"] for step in iter_steps(envelope.definition)}
    found: dict[str, Any] = steps[name]
    return found


def _parameters(envelope: Envelope) -> dict[str, tuple[str, object]]:
    return {parameter.name: (parameter.type, parameter.default) for parameter in envelope.parameters}


DATA = "s3://${artifact_bucket}/${name_prefix}abalone/data"


def test_abalone_has_its_parameters_with_their_defaults(abalone: Envelope) -> None:
    assert _parameters(abalone) == {
        "ProcessingInstanceCount": ("Integer", 1),
        "TrainingInstanceType": ("String", "ml.m5.xlarge"),
        "ModelApprovalStatus": ("String", "PendingManualApproval"),
        "InputData": ("String", f"{DATA}/train/abalone.csv"),
        "BatchData": ("String", f"{DATA}/holdout/holdout.csv"),
        "OutputPrefix": ("String", "s3://${artifact_bucket}/${name_prefix}abalone/executions"),
        "MseThreshold": ("Float", 6.0),
        "RegisterModel": ("String", "true"),
    }


def test_abalone_has_its_nine_steps(abalone: Envelope) -> None:
    assert {step["Name"]: step["Type"] for step in iter_steps(abalone.definition)} == {
        "AbaloneProcess": "Processing",
        "AbaloneTrain": "Training",
        "AbaloneEval": "Processing",
        "AbaloneMSECond": "Condition",
        "AbaloneRegisterCond": "Condition",
        "AbaloneRegisterModel": "RegisterModel",
        "AbaloneCreateModel": "Model",
        "AbaloneTransform": "Transform",
        "AbaloneMSEFail": "Fail",
    }


def test_abalone_s_gate_is_the_mse_against_the_threshold(abalone: Envelope) -> None:
    gate = gate_of(abalone.definition)
    assert (gate.condition_step, gate.operator) == ("AbaloneMSECond", "LessThanOrEqualTo")
    assert (gate.report_step, gate.property_file) == ("AbaloneEval", "EvaluationReport")
    assert (gate.output_name, gate.file_path) == ("evaluation", "evaluation.json")
    assert gate.json_path == "regression_metrics.mse.value"
    assert gate.threshold == Parameter("MseThreshold", "Float", 6.0)
    assert gate.rejection_steps == ("AbaloneMSEFail",)


def test_abalone_trains_in_algorithm_mode_with_the_example_s_hyperparameters(abalone: Envelope) -> None:
    training = _arguments(abalone, "AbaloneTrain")
    assert training["AlgorithmSpecification"]["TrainingImage"] == "${image:xgboost}"
    expected = {
        "objective": "reg:squarederror",
        "num_round": "50",
        "max_depth": "5",
        "eta": "0.2",
        "gamma": "4",
        "min_child_weight": "6",
        "subsample": "0.7",
    }
    assert expected.items() <= training["HyperParameters"].items()
    channels = {channel["ChannelName"]: channel["ContentType"] for channel in training["InputDataConfig"]}
    assert channels == {"train": "text/csv", "validation": "text/csv"}


def test_the_package_records_its_transform_and_no_region(abalone: Envelope) -> None:
    register = _arguments(abalone, "AbaloneRegisterModel")
    assert register["ModelPackageGroupName"] == "${name_prefix}abalone"
    assert register["CustomerMetadataProperties"]["feature_transform"]["Std:Join"]["Values"] == [
        {"Get": "Steps.AbaloneProcess.ProcessingOutputConfig.Outputs['feature_transform'].S3Output.S3Uri"},
        "transform.json",
    ]
    [container] = register["InferenceSpecification"]["Containers"]
    assert container["Environment"] == {}


def test_batch_data_is_scored_after_it_was_transformed(abalone: Envelope) -> None:
    source = _arguments(abalone, "AbaloneTransform")["TransformInput"]["DataSource"]["S3DataSource"]
    assert source["S3Uri"] == {
        "Get": "Steps.AbaloneProcess.ProcessingOutputConfig.Outputs['batch'].S3Output.S3Uri"
    }


def test_the_rejection_says_the_threshold(abalone: Envelope) -> None:
    assert _arguments(abalone, "AbaloneMSEFail")["ErrorMessage"] == {
        "Std:Join": {
            "On": " ",
            "Values": ["Execution failed due to MSE >", {"Get": "Parameters.MseThreshold"}],
        }
    }


def test_scoring_needs_a_package_and_has_defaults_for_the_rest(scoring: Envelope) -> None:
    assert _parameters(scoring) == {
        "ModelPackageArn": ("String", None),
        "BatchData": ("String", f"{DATA}/holdout/holdout.csv"),
        "OutputPrefix": ("String", "s3://${artifact_bucket}/${name_prefix}scoring/output"),
        "TransformInstanceType": ("String", "ml.m5.xlarge"),
        "TransformInstanceCount": ("Integer", 1),
    }


def test_scoring_s_steps_wait_for_each_other_by_reference(scoring: Envelope) -> None:
    assert step_graph(scoring.definition) == {
        "ScoringFeatures": set(),
        "ScoringCreateModel": set(),
        "ScoringTransform": {"ScoringFeatures", "ScoringCreateModel"},
        "ScoringReport": {"ScoringTransform"},
        "ScoringRowsCond": {"ScoringReport"},
        "ScoringRowsFail": {"ScoringRowsCond"},
    }
    assert not any("DependsOn" in step for step in iter_steps(scoring.definition))


def test_scoring_creates_its_model_from_the_package(scoring: Envelope) -> None:
    containers = _arguments(scoring, "ScoringCreateModel")["Containers"]
    assert containers == [{"ModelPackageName": {"Get": "Parameters.ModelPackageArn"}}]


def test_scoring_predicts_line_by_line_on_as_many_instances_as_asked_for(scoring: Envelope) -> None:
    transform = _arguments(scoring, "ScoringTransform")
    assert transform["TransformInput"]["SplitType"] == "Line"
    assert transform["TransformOutput"]["AssembleWith"] == "Line"
    assert transform["TransformResources"] == {
        "InstanceCount": {"Get": "Parameters.TransformInstanceCount"},
        "InstanceType": {"Get": "Parameters.TransformInstanceType"},
    }


def test_scoring_fails_when_rows_are_missing(scoring: Envelope) -> None:
    gate = gate_of(scoring.definition)
    assert (gate.operator, gate.json_path, gate.threshold) == ("Equals", "rows_missing", 0.0)
    assert gate.rejection_steps == ("ScoringRowsFail",)
    assert gate.passes(0, 0)
    assert not gate.passes(1, 0)


@pytest.mark.parametrize("name", ["abalone", "abalone-tuned", "comparison", "scoring"])
def test_a_filled_definition_is_as_sound_as_the_compiled_one(name: str) -> None:
    envelope = Envelope.load(DEFINITIONS / f"{name}.json")
    values = {
        "account_id": "123456789012",
        "artifact_bucket": "sagemaker-eu-west-1-123456789012",
        "name_prefix": "dev-",
        "role_arn": "arn:aws:iam::123456789012:role/SageMaker",
    }
    assert lint(envelope.fill(values, region="eu-west-1"), MODEL) == []
