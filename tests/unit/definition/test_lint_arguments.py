"""The arguments of a step are checked by the shape of the call that SageMaker makes with them."""

from __future__ import annotations

from typing import Any

import pytest

from sagemaker_pipelines.definition import Problem, check, lint
from sagemaker_pipelines.definition.document import STEP_TYPES
from sagemaker_pipelines.definition.step_shapes import CALLS, step_shape
from sagemaker_pipelines.exceptions import InvalidDefinitionError
from stack.definitions import DEFINITIONS
from tests.documents import blocks
from tests.unit.definition.samples import MODEL, ROLE, definition_of, processing, training

Arguments = dict[str, Any]
ROOT = DEFINITIONS.parent.parent


def problems_of(*steps: dict[str, Any]) -> list[Problem]:
    return lint(definition_of(*steps), MODEL)


def one_problem(step: dict[str, Any]) -> Problem:
    problems = problems_of(step)
    assert len(problems) == 1, "\n".join(map(str, problems))
    return problems[0]


def cluster(**changes: Any) -> dict[str, Any]:
    resources = processing()["Arguments"]["ProcessingResources"]["ClusterConfig"]
    return processing(ProcessingResources={"ClusterConfig": {**resources, **changes}})


def specification(**changes: Any) -> dict[str, Any]:
    return processing(AppSpecification={"ImageUri": "image", **changes})


def channel(**changes: Any) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": "s3://bucket/train", **changes}
    return training(InputDataConfig=[{"ChannelName": "train", "DataSource": {"S3DataSource": source}}])


CLUSTER = "ProcessingResources.ClusterConfig"
SOURCE = "InputDataConfig[0].DataSource.S3DataSource"

#: A step; what is said of it; what to do; and whether a newer SageMaker may take it.
REFUSED: list[tuple[dict[str, Any], str, str, bool]] = [
    (training(Enviroment={}), "Unknown Argument member 'Enviroment' of a Training", "'Environment'", True),
    (channel(S3Url="a"), f"Unknown Argument member '{SOURCE}.S3Url'", "use 'S3Uri'", True),
    (processing(Zzz=1), "Unknown Argument member 'Zzz' of a Processing step", "use one of AppSpec", True),
    (cluster(InstanceCount="1"), f'{CLUSTER}.InstanceCount is "1"', "make it a whole number", False),
    (cluster(InstanceCount=True), f"{CLUSTER}.InstanceCount is true", "make it a whole number", False),
    (cluster(InstanceCount={"Get": 3}), f'{CLUSTER}.InstanceCount is {{"Get": 3}}', "whole number", False),
    (cluster(VolumeSizeInGB=0), f"{CLUSTER}.VolumeSizeInGB is 0", "make it at least 1", False),
    (cluster(VolumeSizeInGB=16385), f"{CLUSTER}.VolumeSizeInGB is 16385", "make it at most 16384", False),
    (cluster(InstanceType="m5.large"), f"{CLUSTER}.InstanceType is 'm5.large'", "ml.<family>.<size>", False),
    (channel(S3DataType="S3prefix"), f'{SOURCE}.S3DataType is "S3prefix"', "use 'S3Prefix'", True),
    (channel(S3Uri="bucket/train"), f'{SOURCE}.S3Uri is "bucket/train"', "the pattern (https|s3)", False),
    (channel(S3Uri=None), f"{SOURCE} has no S3Uri", "add it", False),
    (
        specification(ContainerEntrypoint="python3 x.py"),
        'AppSpecification.ContainerEntrypoint is "python3 x.py"',
        "make it a list",
        False,
    ),
    (
        specification(ContainerArguments=[3]),
        "AppSpecification.ContainerArguments[0] is 3",
        "make it a string",
        False,
    ),
    (training(Environment={"N": 3}), "Environment[N] is a number", "make it a string", False),
    (training(Environment={"1N": "3"}), 'Environment[1N] is "1N"', "match the pattern [a-zA-Z_]", False),
    (training(HyperParameters={"a": "1" * 2501}), "HyperParameters[a] has 2501 characters", "at most", False),
    (training(InputDataConfig=[]), "InputDataConfig has 0 entries", "at least 1", False),
    (
        training(VpcConfig={"SecurityGroupIds": ["sg-1"], "Subnets": {"Get": "Parameters.Text"}}),
        'VpcConfig.Subnets is {"Get": "Parameters.Text"}, but an expression may only replace a single value',
        "make it a list, with expressions inside it",
        False,
    ),
    (
        training(Environment={"Std:Join": {"On": "", "Values": ["a"]}}),
        "Environment is {",
        "make it an object, with expressions inside it",
        False,
    ),
    (
        training(HyperParameters={"eta": {"Get": "Parameters.Ratio"}}),
        "HyperParameters[eta] is the Float parameter Ratio",
        "to_string()",
        False,
    ),
    (
        cluster(InstanceCount={"Get": "Parameters.Text"}),
        f"{CLUSTER}.InstanceCount is the String parameter Text",
        "declare the parameter as Integer",
        True,
    ),
    (training(ResourceConfig="${role_arn}"), 'ResourceConfig is "${role_arn}"', "make it an object", False),
    (
        training(ExperimentConfig={"ExperimentName": "e"}),
        "ExperimentConfig.ExperimentName is set, which SageMaker refuses in a pipeline",
        "remove it",
        False,
    ),
    ({"Name": "S", "Type": "Transform", "Arguments": {"ModelName": "m", "TransformInput": {"DataSource": {
        "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/k"}}},
        "TransformOutput": {"S3OutputPath": "s3://b/o"}}},
     "the Transform step has no TransformResources", "add it", False),
    ({"Name": "S", "Type": "Cleanup", "Arguments": {"Resources": {"S3": [{"Step": "a"}]}}},
     "Resources.S3[0] has no StepName", "add it", False),
    ({"Name": "S", "Type": "Lineage", "Arguments": {"Contexts": [{"ContextName": "c", "ContextType": "t",
        "Source": {"SourceURI": "u"}}]}},
     "Unknown Argument member 'Contexts[0].Source.SourceURI'", "use 'SourceUri'", True),
]  # fmt: skip


@pytest.mark.parametrize(("step", "message", "fix", "newer"), REFUSED, ids=[case[1] for case in REFUSED])
def test_what_sagemaker_refuses_is_reported_with_its_place_and_the_cure(
    step: dict[str, Any], message: str, fix: str, newer: bool
) -> None:
    problem = next(item for item in problems_of(step) if item.message.startswith(message))
    assert problem.step == step["Name"]
    assert fix in problem.fix
    assert problem.certain is not newer


@pytest.mark.parametrize(
    "step",
    [
        training(),
        processing(),
        cluster(InstanceType="ml.z9new-flex.96xlarge"),
        cluster(InstanceCount={"Get": "Parameters.Count"}),
        cluster(InstanceType={"Get": "Parameters.Text"}),
        channel(S3Uri={"Std:Join": {"On": "/", "Values": ["s3:/", {"Get": "Parameters.Count"}]}}),
        channel(S3Uri="${artifact_bucket}"),
        training(TrainingJobName="fixed"),
        training(StoppingCondition=None),
        training(RoleArn=None),
        {"Name": "S", "Type": "QualityCheck", "Arguments": processing(RoleArn=None)["Arguments"]},
        {"Name": "S", "Type": "Model", "Arguments": {"PrimaryContainer": {"Image": "image"}}},
        {"Name": "S", "Type": "Tuning", "Arguments": {
            "HyperParameterTuningJobConfig": {"Strategy": "Bayesian",
                "ResourceLimits": {"MaxParallelTrainingJobs": 1}},
            "TrainingJobDefinition": {key: value for key, value in training()["Arguments"].items()
                if key not in ("HyperParameters", "RoleArn")}}},
        {"Name": "S", "Type": "Fail", "Arguments": {"ErrorMessage": ""}},
        {"Name": "S", "Type": "Lambda", "FunctionArn": "f", "Arguments": {"any": {"thing": [1]}}},
        {"Name": "S", "Type": "Callback", "SqsQueueUrl": "q",
            "Arguments": {"n": 1, "x": {"Get": "Parameters.Text"}}},
        {"Name": "S", "Type": "QualityCheck", "Arguments": processing()["Arguments"]},
        {"Name": "S", "Type": "EMR",
            "Arguments": {"ClusterId": "j-1", "StepConfig": {"HadoopJarStep": {"Jar": "a"}}}},
        {"Name": "S", "Type": "Job", "Arguments": {"RoleArn": ROLE, "JobCategory": {"Get": "Parameters.Text"},
            "JobConfigSchemaVersion": "1.0.0",
            "JobConfigDocument": {"Std:Join": {"On": "", "Values": ["{}"]}}}},
    ],
    ids=str,
)  # fmt: skip
def test_what_sagemaker_takes_has_no_problem(step: dict[str, Any]) -> None:
    assert problems_of(step) == []


def test_the_page_about_the_check_shows_what_it_says() -> None:
    page = (ROOT / "docs" / "arguments.md").read_text(encoding="utf-8")
    resources = training()["Arguments"]["ResourceConfig"]
    for step in (
        training(Enviroment={}),
        training(ResourceConfig={**resources, "InstanceType": "m5.large"}),
        training(InputDataConfig=[]),
    ):
        assert f"\n{one_problem(step)}\n" in page


def test_an_entry_that_may_be_a_secret_is_not_shown() -> None:
    assert "12345" not in str(one_problem(training(Environment={"PASSWORD": 12345})))
    assert "hunter2" not in str(one_problem(training(Environment={"PASSWORD": {"value": "hunter2"}})))


def test_a_problem_is_allowed_by_the_name_that_it_has() -> None:
    """The name has the step's type instead of its name, and no indexes, so that it suits every pipeline."""
    definition = definition_of(channel(S3Url="a"))
    [problem] = lint(definition, MODEL)
    assert problem.name == "Training.InputDataConfig.DataSource.S3DataSource.S3Url"
    assert str(problem).endswith(f"(override: {problem.name}).")
    assert lint(definition, MODEL, allowed=[problem.name]) == []
    assert lint(definition, MODEL, allowed=["Training.Other", ""]) == [problem]


def test_the_documented_override_allows_its_argument() -> None:
    names: dict[str, Any] = {}
    (override,) = blocks("arguments.md", "python")
    exec(override, names)
    definition = definition_of(training(NewMember="x"))
    assert len(lint(definition, MODEL)) == 1
    assert lint(definition, MODEL, allowed=names["ALLOWED_ARGUMENTS"]) == []


def test_what_a_newer_sagemaker_may_take_is_a_warning_where_that_is_asked_for() -> None:
    warned: list[Problem] = []
    check(definition_of(training(NewMember=1)), MODEL, warn=warned.append)
    assert [problem.name for problem in warned] == ["Training.NewMember"]
    with pytest.raises(InvalidDefinitionError, match="InputDataConfig has 0 entries") as refused:
        check(definition_of(training(NewMember=1, InputDataConfig=[])), MODEL, warn=warned.append)
    assert len(refused.value.problems) == 1
    assert len(warned) == 2


def test_the_structure_that_the_pipeline_itself_needs_cannot_be_allowed() -> None:
    definition = definition_of({"Name": "F", "Type": "Fail", "Arguments": {"ErrorMessage": ["a"]}})
    assert [problem.name for problem in lint(definition, MODEL)] == [""]


def test_every_step_type_has_a_shape_that_is_its_call_s() -> None:
    """A name that the service sets, and a member that a pipeline may not have, are members of the call."""
    assert all(step_shape(kind, MODEL) is not None for kind in STEP_TYPES)
    for call in CALLS.values():
        members = MODEL.operation_model(call.operation).input_shape.members
        needed = {name for wanted in call.needed for name in wanted.split("|")}
        paths = call.set_by_service | call.refused
        assert {*needed, *(path.split(".")[0] for path in paths)} <= {*members}


def test_a_call_that_an_older_botocore_lacks_is_not_checked() -> None:
    class Older:
        operation_names = ()

        def operation_model(self, operation_name: str) -> Any:
            raise AssertionError(operation_name)

    assert lint(definition_of(training(Enviroment={})), Older()) == lint(definition_of(training()), MODEL)
