"""What a definition shows before an execution is refused then; what only an execution knows is not."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sagemaker_local_runtime.engine.definition import parse_definition
from sagemaker_local_runtime.engine.steps import PROBLEMS
from sagemaker_local_runtime.exceptions import ValidationError
from tests.runtime.engine.definitions import get, pipeline, processing

ROLE = "arn:aws:iam::123456789012:role/r"
SOURCE = {"S3DataType": "S3Prefix", "S3Uri": "s3://bucket/data"}
RESOURCES = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1}
TRAINING = {
    "AlgorithmSpecification": {"TrainingImage": "image", "TrainingInputMode": "File"},
    "RoleArn": ROLE,
    "InputDataConfig": [
        {"ChannelName": "train", "DataSource": {"S3DataSource": SOURCE}, "InputMode": "File"}
    ],
    "OutputDataConfig": {"S3OutputPath": "s3://bucket/models"},
    "ResourceConfig": RESOURCES,
    "StoppingCondition": {"MaxRuntimeInSeconds": 600},
    "CheckpointConfig": {"S3Uri": "s3://bucket/checkpoints", "LocalPath": "/opt/ml/checkpoints"},
}
TUNING = {
    "HyperParameterTuningJobConfig": {
        "Strategy": "Random",
        "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "loss"},
        "ResourceLimits": {"MaxNumberOfTrainingJobs": 4, "MaxParallelTrainingJobs": 2},
        "ParameterRanges": {
            "ContinuousParameterRanges": [
                {"Name": "rate", "MinValue": "0.1", "MaxValue": "1", "ScalingType": "Logarithmic"}
            ],
            "IntegerParameterRanges": [{"Name": "depth", "MinValue": "1", "MaxValue": "6"}],
            "CategoricalParameterRanges": [{"Name": "booster", "Values": ["gbtree", "dart"]}],
        },
        "TrainingJobEarlyStoppingType": "Off",
        "RandomSeed": 3,
    },
    "TrainingJobDefinition": {"StaticHyperParameters": {"epochs": "3"}, **TRAINING},
    # The SDK writes null for what is not set.
    "WarmStartConfig": None,
}
BATCH = {
    "ModelName": "model",
    "MaxPayloadInMB": 6,
    "MaxConcurrentTransforms": 2,
    "TransformInput": {"DataSource": {"S3DataSource": SOURCE}, "SplitType": "Line"},
    "TransformOutput": {"S3OutputPath": "s3://bucket/out", "AssembleWith": "Line"},
    "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
    "DataProcessing": {"JoinSource": "Input"},
}
ENDPOINT = {
    "ProductionVariants": [
        {"VariantName": "a", "ModelName": "m", "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
    ],
    "DataCaptureConfig": {
        "EnableCapture": False,
        "InitialSamplingPercentage": 5,
        "DestinationS3Uri": "s3://bucket/capture",
        "CaptureOptions": [{"CaptureMode": "Input"}],
    },
}
INPUT = {
    "InputName": "data",
    "S3Input": {**SOURCE, "LocalPath": "/opt/ml/processing/in", "S3InputMode": "File"},
}
OUTPUT = {
    "OutputName": "result",
    "S3Output": {"S3Uri": "s3://bucket/o", "LocalPath": "/opt/ml/processing/o", "S3UploadMode": "EndOfJob"},
}
PROCESSING = processing("", ProcessingInputs=[INPUT], ProcessingOutputConfig={"Outputs": [OUTPUT]})[
    "Arguments"
]
QUALITY = {**PROCESSING, "Environment": {"output_path": "/opt/ml/processing/o"}}
ARGUMENTS = {
    "EndpointConfig": ENDPOINT,
    "Processing": PROCESSING,
    "QualityCheck": QUALITY,
    "Training": TRAINING,
    "Transform": BATCH,
    "Tuning": TUNING,
}


def step(kind: str) -> dict[str, Any]:
    """Return a valid step of a type."""
    own = {"CheckType": "DATA_QUALITY", "SkipCheck": True} if kind == "QualityCheck" else {}
    return {"Name": "Work", "Type": kind, "Arguments": copy.deepcopy(ARGUMENTS[kind]), **own}


def parse(*steps: dict[str, Any]) -> None:
    parameters = [{"Name": "P", "Type": "String", "DefaultValue": "x"}]
    parse_definition(json.dumps(pipeline(*steps, parameters=parameters)))


def config(**changes: Any) -> Callable[[Any], None]:
    return lambda arguments: arguments["HyperParameterTuningJobConfig"].update(changes)


def ranges(**changes: Any) -> Callable[[Any], None]:
    return lambda arguments: arguments["HyperParameterTuningJobConfig"]["ParameterRanges"].update(changes)


GRID = {"CategoricalParameterRanges": [{"Name": "booster", "Values": ["gbtree", "dart"]}]}
SEVEN = {"MaxNumberOfTrainingJobs": 7, "MaxParallelTrainingJobs": 1}
WARM = {
    "ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": "earlier"}],
    "WarmStartType": "TransferLearning",
}


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("Tuning", config(Strategy="Hyperband"), "does not support the strategy 'Hyperband'"),
        ("Tuning", config(TrainingJobEarlyStoppingType="Auto"), "TrainingJobEarlyStoppingType 'Auto'"),
        ("Tuning", lambda a: a.update(Autotune={"Mode": "Enabled"}), "does not support Autotune"),
        ("Tuning", lambda a: a.update(WarmStartConfig=WARM), "does not support WarmStartConfig"),
        (
            "Tuning",
            config(Strategy="Grid", ParameterRanges=GRID, ResourceLimits=SEVEN),
            "MaxNumberOfTrainingJobs is 7, but the grid has 2 combinations",
        ),
        ("Tuning", config(Strategy="Grid"), "'Grid' needs categorical ranges"),
        (
            "Tuning",
            ranges(IntegerParameterRanges=[{"Name": "depth", "MinValue": "9", "MaxValue": "6"}]),
            "The range of depth has MinValue 9 and MaxValue 6",
        ),
        ("Tuning", config(ParameterRanges={}), "has 0 ranges"),
        ("Tuning", lambda a: a.pop("TrainingJobDefinition"), "has no TrainingJobDefinition"),
        (
            "Tuning",
            lambda a: a["TrainingJobDefinition"]["StaticHyperParameters"].update(rate="1"),
            "StaticHyperParameters and ParameterRanges both have rate",
        ),
        (
            "Tuning",
            lambda a: a["TrainingJobDefinition"]["AlgorithmSpecification"].update(TrainingInputMode="Pipe"),
            "input mode 'Pipe' is not supported",
        ),
        (
            "Training",
            lambda a: a["InputDataConfig"][0].update(InputMode="Pipe"),
            "Channel 'train': input mode",
        ),
        ("Training", lambda a: a["CheckpointConfig"].update(LocalPath="/tmp"), "Invalid path '/tmp'"),
        (
            "Processing",
            # The URI is not known yet, which is no reason to overlook the path.
            lambda a: a["ProcessingInputs"][0]["S3Input"].update(S3Uri=get("Parameters.P"), LocalPath="in"),
            "Invalid path 'in' of ProcessingInput 'data'",
        ),
        ("QualityCheck", lambda a: a["ProcessingInputs"][0].pop("S3Input"), "'data' has no S3Input"),
        ("QualityCheck", lambda a: a.pop("Environment"), "the LocalPath that output_path names"),
        (
            "QualityCheck",
            lambda a: a["Environment"].update(output_path="/opt/ml/other"),
            "the LocalPath that",
        ),
        ("Transform", lambda a: a["TransformInput"].update(SplitType="RecordIO"), "SplitType 'RecordIO'"),
        ("Transform", lambda a: a.update(MaxPayloadInMB=60), "MaxPayloadInMB is 120; expected at most 100"),
        ("Transform", lambda a: a["TransformOutput"].pop("AssembleWith"), "JoinSource Input needs the same"),
        (
            "EndpointConfig",
            lambda a: a["ProductionVariants"][0].pop("ModelName"),
            "does not serve the variant 'a' without a ModelName",
        ),
        ("EndpointConfig", lambda a: a["ProductionVariants"].append(a["ProductionVariants"][0]), "be unique"),
        (
            "EndpointConfig",
            lambda a: a["DataCaptureConfig"].update(EnableCapture=True),
            "does not serve DataCaptureConfig with EnableCapture",
        ),
    ],
)
def test_a_step_that_cannot_run_is_refused_by_name(
    kind: str, change: Callable[[Any], None], message: str
) -> None:
    made = step(kind)
    parse(made)
    change(made["Arguments"])
    with pytest.raises(ValidationError, match="step Work: ") as refused:
        parse(made)
    assert message in refused.value.message


def test_a_flag_of_a_check_that_is_no_boolean_is_refused() -> None:
    with pytest.raises(ValidationError, match="step Work: SkipCheck is 'yes'; expected true or false"):
        parse({**step("QualityCheck"), "SkipCheck": "yes"})
    assert not list(PROBLEMS["QualityCheck"]({**step("QualityCheck"), "SkipCheck": get("Parameters.P")}))


@pytest.mark.parametrize("kind", ["OTHER", get("Parameters.P")])
def test_the_type_of_a_check_is_one_of_two(kind: Any) -> None:
    with pytest.raises(ValidationError, match="expected one of DATA_QUALITY, MODEL_QUALITY"):
        parse({**step("QualityCheck"), "CheckType": kind})


def test_a_strategy_whose_library_is_missing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    made = step("Tuning")
    config(Strategy="Bayesian")(made["Arguments"])
    parse(made)
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    with pytest.raises(ValidationError, match=r"step Work: .*pip install .*\[tuning\]"):
        parse(made)


def leaves(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the container and the key of every single value."""
    for key, item in list(value.items() if isinstance(value, dict) else enumerate(value)):
        if isinstance(item, (dict, list)):
            yield from leaves(item)
        elif item is not None:
            yield value, key


@pytest.mark.parametrize("kind", sorted(PROBLEMS))
def test_any_value_may_be_an_expression(kind: str) -> None:
    """One at a time, and all of them."""
    made = step(kind)
    check = PROBLEMS[kind]
    for place, key in leaves(made["Arguments"]):
        before, place[key] = place[key], get("Parameters.P")
        assert not list(check(made)), (place, key)
        place[key] = before
    for place, key in leaves(made["Arguments"]):
        place[key] = {"Std:Join": {"On": "", "Values": [get("Parameters.P")]}}
    assert not list(check(made))
