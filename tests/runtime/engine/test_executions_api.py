"""The actions on executions answer as SageMaker does."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from sagemaker_local_runtime.exceptions import ConflictError, ResourceNotFoundError, ValidationError
from tests.runtime.engine.definitions import get, pipeline, processing
from tests.runtime.engine.doubles import Engine, FakeJobs, token

PARAMETERS: list[dict[str, Any]] = [
    {"Name": "Count", "Type": "Integer", "DefaultValue": 1},
    {"Name": "Data", "Type": "String", "DefaultValue": "s3://b/k"},
]
CLUSTER = {"InstanceType": "ml.m5.large", "VolumeSizeInGB": 30}
RESOURCES = {"ClusterConfig": {**CLUSTER, "InstanceCount": get("Parameters.Count")}}
DEFINITION = pipeline(processing("a", ProcessingResources=RESOURCES), parameters=PARAMETERS)


@pytest.fixture(autouse=True)
def created(engine: Engine) -> None:
    engine.create(DEFINITION)


def count(value: str) -> dict[str, Any]:
    return {"PipelineParameters": [{"Name": "Count", "Value": value}]}


def test_a_started_execution_is_described(engine: Engine) -> None:
    arn = engine.start(PipelineExecutionDisplayName="nightly", PipelineExecutionDescription="by hand")
    described = engine.ended(arn)
    assert re.fullmatch(r"arn:aws:sagemaker:us-east-1:123456789012:pipeline/demo/execution/[a-z0-9]{12}", arn)
    assert described["PipelineExecutionDisplayName"] == "nightly"
    assert described["PipelineExecutionDescription"] == "by hand"
    assert described["PipelineVersionId"] == 1
    assert described["CreationTime"] <= described["LastModifiedTime"]
    assert not [key for key in described if key.startswith("_")]


def test_a_display_name_is_made_from_the_time(engine: Engine) -> None:
    name = engine.describe(engine.start())["PipelineExecutionDisplayName"]
    assert re.fullmatch(r"execution-\d{13}", name)


def test_parameters_are_listed_with_defaults_and_in_pages(engine: Engine, jobs: FakeJobs) -> None:
    arn = engine.start(**count("5"))
    first = engine.call("ListPipelineParametersForExecution", PipelineExecutionArn=arn, MaxResults=1)
    assert first["PipelineParameters"] == [{"Name": "Count", "Value": "5"}]
    rest = engine.call(
        "ListPipelineParametersForExecution", PipelineExecutionArn=arn, NextToken=first["NextToken"]
    )
    assert rest == {"PipelineParameters": [{"Name": "Data", "Value": "s3://b/k"}]}
    engine.ended(arn)
    assert jobs.runs[0].arguments["ProcessingResources"] == {"ClusterConfig": {**CLUSTER, "InstanceCount": 5}}


def test_a_repeated_start_token_returns_the_first_execution(engine: Engine, jobs: FakeJobs) -> None:
    same = token()
    arn = engine.start(ClientRequestToken=same, **count("2"))
    assert engine.start(ClientRequestToken=same, **count("2")) == arn
    engine.ended(arn)
    assert engine.start(ClientRequestToken=same, **count("2")) == arn
    assert jobs.order() == ["a"]


def test_a_start_token_with_other_parameters_is_refused(engine: Engine) -> None:
    same = token()
    engine.start(ClientRequestToken=same, **count("2"))
    with pytest.raises(ConflictError, match="with other parameters"):
        engine.start(ClientRequestToken=same, **count("3"))


@pytest.mark.parametrize("value", ["two", "1.5", ""])
def test_a_wrong_parameter_starts_nothing(engine: Engine, value: str) -> None:
    with pytest.raises(ValidationError, match="Count"):
        engine.start(**count(value))
    assert engine.call("ListPipelineExecutions", PipelineName="demo")["PipelineExecutionSummaries"] == []


def test_a_pinned_version_runs_its_own_definition(engine: Engine, jobs: FakeJobs) -> None:
    engine.call(
        "UpdatePipeline", PipelineName="demo", PipelineDefinition=json.dumps(pipeline(processing("b")))
    )
    pinned = engine.start(PipelineVersionId=1)
    engine.ended(pinned)
    latest = engine.start()
    engine.ended(latest)
    assert jobs.order() == ["a", "b"]
    shown = engine.call("DescribePipelineDefinitionForExecution", PipelineExecutionArn=pinned)
    assert json.loads(shown["PipelineDefinition"]) == DEFINITION
    versions = engine.call("ListPipelineVersions", PipelineName="demo", SortOrder="Ascending")
    last = [v["LastExecutionPipelineExecutionArn"] for v in versions["PipelineVersionSummaries"]]
    assert last == [pinned, latest]


def test_a_missing_version_starts_nothing(engine: Engine) -> None:
    with pytest.raises(ResourceNotFoundError, match="version '9'"):
        engine.start(PipelineVersionId=9)


def test_executions_are_listed_newest_first_with_filters_and_pages(engine: Engine) -> None:
    arns = [engine.start() for _ in range(4)]
    for arn in arns:
        engine.ended(arn)
    listed = engine.call("ListPipelineExecutions", PipelineName="demo")["PipelineExecutionSummaries"]
    assert [item["PipelineExecutionArn"] for item in listed] == arns[::-1]
    assert listed[0]["PipelineExecutionStatus"] == "Succeeded"
    oldest = engine.call("ListPipelineExecutions", PipelineName="demo", SortOrder="Ascending", MaxResults=1)
    assert oldest["PipelineExecutionSummaries"][0]["PipelineExecutionArn"] == arns[0]
    newer = engine.call("ListPipelineExecutions", PipelineName="demo", CreatedAfter=listed[1]["StartTime"])
    assert [item["PipelineExecutionArn"] for item in newer["PipelineExecutionSummaries"]] == [arns[3]]
    by_arn = engine.call(
        "ListPipelineExecutions", PipelineName="demo", SortBy="PipelineExecutionArn", SortOrder="Ascending"
    )["PipelineExecutionSummaries"]
    assert [item["PipelineExecutionArn"] for item in by_arn] == sorted(arns)


def test_a_page_follows_its_token_though_new_executions_arrive(engine: Engine) -> None:
    arns = [engine.start() for _ in range(3)]
    first = engine.call("ListPipelineExecutions", PipelineName="demo", MaxResults=1)
    engine.start()
    second = engine.call(
        "ListPipelineExecutions", PipelineName="demo", MaxResults=1, NextToken=first["NextToken"]
    )
    assert second["PipelineExecutionSummaries"][0]["PipelineExecutionArn"] == arns[1]
    for arn in arns:
        engine.ended(arn)


def test_steps_are_listed_in_pages_of_at_most_a_hundred(engine: Engine) -> None:
    engine.create(pipeline(*(processing(f"s{i}") for i in range(120))), name="wide")
    arn = engine.start("wide")
    engine.ended(arn)
    first = engine.call("ListPipelineExecutionSteps", PipelineExecutionArn=arn)
    rest = engine.call("ListPipelineExecutionSteps", PipelineExecutionArn=arn, NextToken=first["NextToken"])
    assert (len(first["PipelineExecutionSteps"]), len(rest["PipelineExecutionSteps"])) == (100, 20)
    assert "NextToken" not in rest
    names = {s["StepName"] for s in [*first["PipelineExecutionSteps"], *rest["PipelineExecutionSteps"]]}
    assert len(names) == 120


def test_a_step_has_sagemakers_fields(engine: Engine) -> None:
    step = processing("a")
    step |= {"DisplayName": "The step", "Description": "does it"}
    engine.create(pipeline(step), name="shown")
    arn = engine.start("shown")
    engine.ended(arn)
    (listed,) = engine.call("ListPipelineExecutionSteps", PipelineExecutionArn=arn)["PipelineExecutionSteps"]
    assert listed["StartTime"] <= listed["EndTime"]
    assert listed["Metadata"].keys() == {"ProcessingJob"}
    assert (listed["StepDisplayName"], listed["StepDescription"]) == ("The step", "does it")
    assert (listed["StepStatus"], listed["AttemptCount"]) == ("Succeeded", 1)
    assert not [key for key in listed if key.startswith("_")]


@pytest.mark.parametrize(
    ("action", "request_"),
    [
        ("DescribePipelineExecution", {}),
        ("ListPipelineExecutionSteps", {}),
        ("ListPipelineParametersForExecution", {}),
        ("DescribePipelineDefinitionForExecution", {}),
        ("StopPipelineExecution", {"ClientRequestToken": "s" * 32}),
        ("RetryPipelineExecution", {"ClientRequestToken": "s" * 32}),
        ("UpdatePipelineExecution", {}),
    ],
)
def test_a_missing_execution_is_not_found(engine: Engine, action: str, request_: dict[str, Any]) -> None:
    arn = engine.runtime.account.arn("pipeline/demo/execution/nowhere12345")
    with pytest.raises(ResourceNotFoundError, match=re.escape(f"'{arn}' does not exist")):
        engine.call(action, PipelineExecutionArn=arn, **request_)


def test_an_execution_takes_a_new_name_and_description(engine: Engine) -> None:
    arn = engine.start()
    engine.ended(arn)
    fields = {"PipelineExecutionDisplayName": "renamed", "PipelineExecutionDescription": "later"}
    engine.call("UpdatePipelineExecution", PipelineExecutionArn=arn, **fields)
    assert fields.items() <= engine.describe(arn).items()


def test_the_experiments_default_names_are_resolved(engine: Engine) -> None:
    config = {
        "ExperimentName": get("Execution.PipelineName"),
        "TrialName": get("Execution.PipelineExecutionId"),
    }
    engine.create({**DEFINITION, "PipelineExperimentConfig": config}, name="tracked")
    arn = engine.start("tracked")
    expected = {"ExperimentName": "tracked", "TrialName": arn.rpartition("/")[2]}
    assert engine.ended(arn)["PipelineExperimentConfig"] == expected
