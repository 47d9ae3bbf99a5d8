"""Pipelines and jobs with an experiment are recorded below it, as on AWS."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from sagemaker_local_runtime.testing import LocalRuntime

SKLEARN = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.9-0"


def processing(code: str, role: str) -> dict[str, Any]:
    return {
        "AppSpecification": {"ImageUri": SKLEARN, "ContainerEntrypoint": ["python3", "-c", code]},
        "ProcessingResources": {
            "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 7}
        },
        "RoleArn": role,
    }


def definition(role: str, **fields: Any) -> dict[str, Any]:
    names = {"Get": "Execution.PipelineName"}, {"Get": "Execution.PipelineExecutionId"}
    return {
        "Version": "2020-12-01",
        "PipelineExperimentConfig": {"ExperimentName": names[0], "TrialName": names[1]},
        "Steps": [{"Name": "Work", "Type": "Processing", "Arguments": processing("pass", role)}],
        **fields,
    }


def test_an_execution_makes_an_experiment_a_trial_and_its_components(local_runtime: LocalRuntime) -> None:
    sagemaker = local_runtime.client("sagemaker")
    name = local_runtime.create_pipeline(definition(local_runtime.role_arn), "tracked")
    arns = [local_runtime.start(name) for _ in range(2)]
    ids = {arn.rpartition("/")[2] for arn in arns}
    trials = sagemaker.list_trials(ExperimentName="tracked")["TrialSummaries"]
    assert {trial["TrialName"] for trial in trials} == ids, "as soon as the start is answered"
    for arn in arns:
        local_runtime.wait(arn)
        job = local_runtime.steps(arn)["Work"]["Metadata"]["ProcessingJob"]["Arn"]
        (summary,) = sagemaker.list_trial_components(TrialName=arn.rpartition("/")[2])[
            "TrialComponentSummaries"
        ]
        component = sagemaker.describe_trial_component(TrialComponentName=summary["TrialComponentName"])
        assert component["TrialComponentName"] == f"{job.rpartition('/')[2]}-aws-processing-job"
        assert component["DisplayName"] == "Work"
        assert component["Status"] == {"PrimaryStatus": "Completed"}
        assert component["Parameters"]["SageMaker.VolumeSizeInGB"] == {"NumberValue": 7.0}
        assert component["Parameters"]["SageMaker.InstanceType"] == {"StringValue": "ml.m5.large"}
        assert component["InputArtifacts"]["SageMaker.ImageUri"] == {"Value": SKLEARN}
        assert component["EndTime"] >= component["StartTime"]
        described = sagemaker.describe_processing_job(ProcessingJobName=job.rpartition("/")[2])
        assert described["ExperimentConfig"] == {
            "ExperimentName": "tracked",
            "TrialName": arn.rpartition("/")[2],
            "TrialComponentDisplayName": "Work",
        }


def test_a_step_may_choose_its_display_name(local_runtime: LocalRuntime) -> None:
    arguments = processing("pass", local_runtime.role_arn)
    arguments["ExperimentConfig"] = {"TrialComponentDisplayName": "Features"}
    steps = [{"Name": "Work", "Type": "Processing", "Arguments": arguments}]
    local_runtime.execute(definition(local_runtime.role_arn, Steps=steps))
    found = search(local_runtime, "ExperimentTrialComponent")
    assert [component["TrialComponent"]["DisplayName"] for component in found] == ["Features"]


def test_without_a_configuration_nothing_is_recorded(local_runtime: LocalRuntime) -> None:
    local_runtime.execute(definition(local_runtime.role_arn, PipelineExperimentConfig=None))
    assert local_runtime.client("sagemaker").list_experiments()["ExperimentSummaries"] == []


def test_a_name_that_no_experiment_can_have_is_refused_at_the_start(local_runtime: LocalRuntime) -> None:
    config = {"ExperimentName": "not a name", "TrialName": "t"}
    name = local_runtime.create_pipeline(definition(local_runtime.role_arn, PipelineExperimentConfig=config))
    with pytest.raises(ClientError, match="'not a name' at 'experimentName' failed to satisfy"):
        local_runtime.start(name)


def test_a_failed_job_of_its_own_is_a_component_with_the_reason(local_runtime: LocalRuntime) -> None:
    sagemaker = local_runtime.client("sagemaker")
    request = {
        "ProcessingJobName": "alone",
        "ExperimentConfig": {"ExperimentName": "mine"},
        **processing("raise SystemExit(3)", local_runtime.role_arn),
    }
    with pytest.raises(ClientError, match="experiment/mine does not exist") as refused:
        sagemaker.create_processing_job(**request)
    assert refused.value.response["Error"]["Code"] == "ResourceNotFound"
    assert sagemaker.list_processing_jobs()["ProcessingJobSummaries"] == []
    sagemaker.create_experiment(ExperimentName="mine")
    sagemaker.create_processing_job(**request)
    local_runtime.runtime.jobs.wait("processing", "alone")
    component = sagemaker.describe_trial_component(TrialComponentName="alone-aws-processing-job")
    assert component["Status"]["PrimaryStatus"] == "Failed"
    assert "exit code: 3" in component["Status"]["Message"]
    (trial,) = sagemaker.list_trials(ExperimentName="mine")["TrialSummaries"]
    assert trial["TrialName"] == "alone-aws-processing-job", "a new trial"


def search(runtime: LocalRuntime, resource: str, *filters: dict[str, Any], **request: Any) -> list[Any]:
    expression = {"SearchExpression": {"Filters": list(filters)}} if filters else {}
    found = runtime.client("sagemaker").search(Resource=resource, **expression, **request)
    assert found["TotalHits"]["Value"] >= len(found["Results"])
    results: list[Any] = found["Results"]
    return results


def test_components_are_found_by_experiment_and_parameter(local_runtime: LocalRuntime) -> None:
    arns = [
        local_runtime.start(local_runtime.create_pipeline(definition(local_runtime.role_arn), name))
        for name in ("one", "two")
    ]
    for arn in arns:
        local_runtime.wait(arn)
    for name in ("one", "two"):
        (found,) = search(
            local_runtime,
            "ExperimentTrialComponent",
            {"Name": "Parents.ExperimentName", "Operator": "Equals", "Value": name},
            {"Name": "Parameters.SageMaker.VolumeSizeInGB.NumberValue", "Operator": "LessThan", "Value": "8"},
            {"Name": "Source.SourceArn", "Operator": "NotExists"},
        )
        assert found["TrialComponent"]["Parents"][0]["ExperimentName"] == name
    assert {found["Experiment"]["ExperimentName"] for found in search(local_runtime, "Experiment")} == {
        "one",
        "two",
    }
    assert len(search(local_runtime, "ExperimentTrial")) == 2


def test_metrics_of_a_component_are_found(local_runtime: LocalRuntime) -> None:
    """As the SDK's experiment runs log them, and its analytics read them."""
    sagemaker = local_runtime.client("sagemaker")
    sagemaker.create_trial_component(TrialComponentName="run")
    local_runtime.client("sagemaker-metrics").batch_put_metrics(
        TrialComponentName="run",
        MetricData=[
            {"MetricName": "loss", "Timestamp": 1_700_000_000 + step, "Step": step, "Value": value}
            for step, value in enumerate((0.5, 0.4))
        ],
    )
    (found,) = search(
        local_runtime,
        "ExperimentTrialComponent",
        {"Name": "Metrics.MetricName", "Operator": "Equals", "Value": "loss"},
    )
    (metric,) = found["TrialComponent"]["Metrics"]
    assert (metric["MetricName"], metric["Min"], metric["Last"]) == ("loss", 0.4, 0.4)
