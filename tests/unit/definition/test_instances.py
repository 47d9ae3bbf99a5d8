"""What the steps of a definition run on."""

from __future__ import annotations

from typing import Any

import pytest

from sagemaker_pipelines.definition.instances import StepInstances, step_instances, uncounted_steps


def definition(*steps: dict[str, Any]) -> dict[str, Any]:
    parameters = [
        {"Name": "Type", "Type": "String", "DefaultValue": "ml.m5.large"},
        {"Name": "Count", "Type": "Integer", "DefaultValue": 2},
        {"Name": "Limit", "Type": "Integer"},
    ]
    return {"Version": "2020-12-01", "Parameters": parameters, "Steps": list(steps)}


def training(name: str, *, limit: Any = None, **resources: Any) -> dict[str, Any]:
    arguments: dict[str, Any] = {"ResourceConfig": resources}
    if limit is not None:
        arguments["StoppingCondition"] = {"MaxRuntimeInSeconds": limit}
    return {"Name": name, "Type": "Training", "Arguments": arguments}


BY_PARAMETERS = {"InstanceType": {"Get": "Parameters.Type"}, "InstanceCount": {"Get": "Parameters.Count"}}


def test_parameters_give_type_and_count() -> None:
    (found,) = step_instances(definition(training("Train", **BY_PARAMETERS)))
    assert found == StepInstances(
        step="Train",
        component="Training",
        instance_type="ml.m5.large",
        instance_count=2,
        max_seconds=86_400,
        parameter="Type",
    )
    assert found.max_instance_seconds == 172_800
    (found,) = step_instances(
        definition(training("Train", **BY_PARAMETERS)), {"Type": "ml.c5.large", "Count": "3"}
    )
    assert (found.instance_type, found.instance_count) == ("ml.c5.large", 3)


def test_what_an_expression_gives_is_unknown() -> None:
    joined = {"Std:Join": {"On": ".", "Values": ["ml", "m5", "large"]}}
    (found,) = step_instances(definition(training("Train", InstanceType=joined, InstanceCount=joined)))
    assert (found.instance_type, found.instance_count, found.max_instance_seconds) == (None, None, None)


def test_a_limit_that_a_start_has_to_give_is_unknown_until_then() -> None:
    limit = {"Get": "Parameters.Limit"}
    steps = definition(training("Train", limit=limit, InstanceType="ml.m5.large", InstanceCount=1))
    assert step_instances(steps)[0].max_seconds is None
    assert step_instances(steps, {"Limit": "600"})[0].max_instance_seconds == 600


def test_steps_in_branches_groups_and_tuning_jobs_count() -> None:
    groups = [
        {"InstanceGroupName": "a", "InstanceType": "ml.m5.large", "InstanceCount": 1},
        {"InstanceGroupName": "b", "InstanceType": "ml.c5.large", "InstanceCount": 4},
    ]
    transform = {
        "Name": "Score",
        "Type": "Transform",
        "Arguments": {"TransformResources": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 1}},
    }
    tuning = {
        "Name": "Tune",
        "Type": "Tuning",
        "Arguments": {
            "HyperParameterTuningJobConfig": {"ResourceLimits": {"MaxNumberOfTrainingJobs": 5}},
            "TrainingJobDefinition": {
                "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 2},
                "StoppingCondition": {"MaxRuntimeInSeconds": 60},
            },
        },
    }
    condition = {"Name": "If", "Type": "Condition", "Arguments": {"Conditions": [], "IfSteps": [transform]}}
    found = step_instances(definition(training("Train", InstanceGroups=groups), condition, tuning))
    assert [(each.step, each.component, each.instance_type, each.instance_count) for each in found] == [
        ("Train", "Training", "ml.m5.large", 1),
        ("Train", "Training", "ml.c5.large", 4),
        ("Score", "Transform", "ml.m5.xlarge", 1),
        ("Tune", "Training", "ml.m5.large", 2),
    ]
    assert [each.max_instance_seconds for each in found] == [86_400, 345_600, None, 600]


@pytest.mark.parametrize(
    ("items", "jobs"),
    [
        (["a", "b", "c"], 3),
        ({"Get": "Parameters.Items"}, 2),
        ({"Get": "Steps.Other.OutputParameters['x']"}, None),
    ],
)
def test_the_body_of_a_loop_runs_once_for_each_item(items: Any, jobs: int | None) -> None:
    arguments = {"IterableItems": items, "MaxConcurrency": 1, "ForEachBody": [training("Train")]}
    loop = definition({"Name": "Each", "Type": "ForEach", "Arguments": arguments})
    (found,) = step_instances(loop, {"Items": '["a", "b"]'})
    assert (found.step, found.jobs) == ("Train", jobs)


def test_a_tuning_job_in_the_sdks_form_counts() -> None:
    resources = {"InstanceType": "ml.m5.large", "InstanceCount": 3}
    tuning = {
        "Name": "Tune",
        "Type": "Tuning",
        "Arguments": {"TrainingJobDefinition": {"HyperParameterTuningResourceConfig": resources}},
    }
    (found,) = step_instances(definition(tuning))
    assert (found.instance_type, found.instance_count) == ("ml.m5.large", 3)


@pytest.mark.parametrize(
    ("policies", "jobs"),
    [
        ([{"ExceptionType": ["SageMaker.JOB_INTERNAL_ERROR"], "MaxAttempts": 3}], 4),
        ([{"ExceptionType": ["SageMaker.CAPACITY_ERROR"]}], 6),
        ([{"ExceptionType": ["SageMaker.JOB_INTERNAL_ERROR"], "ExpireAfterMin": 60}], None),
        ([{"ExceptionType": ["Step.THROTTLING"], "MaxAttempts": 3}], 1),
    ],
)
def test_retries_of_a_job_count(policies: list[dict[str, Any]], jobs: int | None) -> None:
    (found,) = step_instances(definition({**training("Train"), "RetryPolicies": policies}))
    assert found.jobs == jobs


def tuning(*definitions: dict[str, Any]) -> dict[str, Any]:
    arguments = {
        "HyperParameterTuningJobConfig": {"ResourceLimits": {"MaxNumberOfTrainingJobs": 10}},
        "TrainingJobDefinitions": [{"DefinitionName": str(i), **d} for i, d in enumerate(definitions)],
    }
    return {"Name": "Tune", "Type": "Tuning", "Arguments": arguments}


def test_definitions_of_a_tuning_job_with_one_cluster_have_its_longest_runtime() -> None:
    short, long = (training("T", limit=s, **BY_PARAMETERS)["Arguments"] for s in (60, 600))
    (found,) = step_instances(definition(tuning(short, long)))
    assert (found.instance_type, found.parameter, found.instance_count) == ("ml.m5.large", "Type", 2)
    assert found.max_instance_seconds == 12_000


@pytest.mark.parametrize(
    ("second", "instance_type", "most"),
    [
        ({"InstanceType": "ml.c5.large", "InstanceCount": 2}, None, 1_728_000),
        ({"InstanceType": "ml.m5.large", "InstanceCount": 1}, "ml.m5.large", None),
        ({"InstanceGroups": [{"InstanceType": "ml.m5.large", "InstanceCount": 2}] * 2}, "ml.m5.large", None),
        ({}, None, None),
    ],
)
def test_of_several_clusters_of_a_tuning_job_only_what_they_share_is_known(
    second: dict[str, Any], instance_type: str | None, most: float | None
) -> None:
    clusters = {"InstanceType": "ml.m5.large", "InstanceCount": 2}, second
    (found,) = step_instances(definition(tuning(*({"ResourceConfig": each} for each in clusters))))
    assert (found.instance_type, found.max_instance_seconds) == (instance_type, most)


def test_what_a_job_without_a_fixed_cluster_bills_is_unknown() -> None:
    flexible = {"InstanceConfigs": [{"InstanceType": "ml.m5.large", "InstanceCount": 9}]}
    serverless = {"Name": "Own", "Type": "Training", "Arguments": {"ServerlessJobConfig": {}}}
    steps = definition(tuning({"HyperParameterTuningResourceConfig": flexible}), serverless)
    assert [(each.instance_type, each.max_instance_seconds) for each in step_instances(steps)] == [
        (None, None),
        (None, None),
    ]
    assert uncounted_steps(steps) == {"Own": "serverless Training"}


def test_a_warm_pool_bills_for_as_long_as_it_is_kept() -> None:
    kept = {"KeepAlivePeriodInSeconds": {"Get": "Parameters.Limit"}}
    steps = definition(training("Train", limit=600, **BY_PARAMETERS, **kept))
    assert step_instances(steps)[0].max_instance_seconds is None
    assert step_instances(steps, {"Limit": 3600})[0].max_instance_seconds == 8400
