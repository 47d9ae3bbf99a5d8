"""Search finds what the runtime keeps itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sagemaker_local_runtime.settings import Settings
from sagemaker_local_runtime.testing import LocalRuntime

FAIL = {"Name": "Refuse", "Type": "Fail", "Arguments": {"ErrorMessage": "no"}}
LIMIT = {"Name": "Limit", "Type": "Integer", "DefaultValue": 1}


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRuntime]:
    """Two pipelines, one of them tagged and executed three times, and three versions of a group."""
    runtime = LocalRuntime(Settings(data_dir=tmp_path_factory.mktemp("search") / "runtime", port=0))
    sagemaker = runtime.client("sagemaker")
    definition = {"Version": "2020-12-01", "Parameters": [LIMIT], "Steps": [FAIL]}
    runtime.create_pipeline(definition, "other")
    name = runtime.create_pipeline(definition, "abalone")
    arn = sagemaker.describe_pipeline(PipelineName=name)["PipelineArn"]
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "team", "Value": "shells"}])
    for limit in ("2", "10", "30"):
        runtime.wait(runtime.start(name, {"Limit": limit}))
    sagemaker.create_model_package_group(ModelPackageGroupName="shells")
    for status in ("Approved", "Rejected", "Approved"):
        sagemaker.create_model_package(ModelPackageGroupName="shells", ModelApprovalStatus=status)
    yield runtime
    runtime.close()


def found(runtime: LocalRuntime, resource: str, *filters: tuple[str, ...], **request: Any) -> list[Any]:
    names = ("Name", "Operator", "Value")
    expression = {"Filters": [dict(zip(names, given, strict=False)) for given in filters]} if filters else {}
    expression |= request.pop("expression", {})
    if expression:
        request["SearchExpression"] = expression
    results = runtime.client("sagemaker").search(Resource=resource, **request)["Results"]
    return [next(iter(result.values())) for result in results]


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (("PipelineName", "Equals", "abalone"), ["abalone"]),
        (("PipelineName", "NotEquals", "abalone"), ["other"]),
        (("PipelineName", "Contains", "alo"), ["abalone"]),
        (("PipelineName", "In", "x, other"), ["other"]),
        (("Tags.team", "Equals", "shells"), ["abalone"]),
        (("Tags.team", "NotExists"), ["other"]),
        (("LastRunTime", "Exists"), ["abalone"]),
        (("CreationTime", "GreaterThan", "2020-01-01T00:00:00Z"), ["abalone", "other"]),
        (("CreationTime", "LessThanOrEqualTo", "2020-01-01T00:00:00+01:00"), []),
    ],
)
def test_pipelines_are_filtered(runtime: LocalRuntime, given: tuple[str, ...], names: list[str]) -> None:
    pipelines = found(runtime, "Pipeline", given, SortBy="PipelineName", SortOrder="Ascending")
    assert [pipeline["PipelineName"] for pipeline in pipelines] == names


def test_executions_are_found_by_a_parameter_and_its_value_together(runtime: LocalRuntime) -> None:
    filters = [
        {"Name": "PipelineParameters.Name", "Operator": "Equals", "Value": "Limit"},
        {"Name": "PipelineParameters.Value", "Operator": "GreaterThanOrEqualTo", "Value": "10"},
    ]
    nested = {"NestedFilters": [{"NestedPropertyName": "PipelineParameters", "Filters": filters}]}
    executions = found(runtime, "PipelineExecution", expression=nested)
    assert sorted(execution["PipelineParameters"][0]["Value"] for execution in executions) == ["10", "30"]
    assert {execution["PipelineExecutionStatus"] for execution in executions} == {"Failed"}


def test_expressions_are_combined(runtime: LocalRuntime) -> None:
    approved = {"Filters": [{"Name": "ModelApprovalStatus", "Operator": "Equals", "Value": "Approved"}]}
    second = {"Filters": [{"Name": "ModelPackageVersion", "Operator": "Equals", "Value": "2"}]}
    for combined, versions in (("And", []), ("Or", [1, 2, 3])):
        expression = {"SubExpressions": [approved, second], "Operator": combined}
        packages = found(
            runtime,
            "ModelPackage",
            expression=expression,
            SortBy="ModelPackageVersion",
            SortOrder="Ascending",
        )
        assert [package["ModelPackageVersion"] for package in packages] == versions
    assert [group["ModelPackageGroupName"] for group in found(runtime, "ModelPackageGroup")] == ["shells"]


def test_results_come_in_pages_in_the_asked_order(runtime: LocalRuntime) -> None:
    search = runtime.client("sagemaker").get_paginator("search")
    pages = search.paginate(
        Resource="ModelPackage", SortBy="ModelPackageVersion", PaginationConfig={"PageSize": 2}
    )
    versions = [[r["ModelPackage"]["ModelPackageVersion"] for r in page["Results"]] for page in pages]
    assert versions == [[3, 2], [1]]


def test_numbers_are_sorted_by_their_value(runtime: LocalRuntime) -> None:
    sagemaker = runtime.client("sagemaker")
    for number in (10, 0, -1, 9):
        parameters = {"depth": {"NumberValue": number}}
        sagemaker.create_trial_component(TrialComponentName=f"depth{number}", Parameters=parameters)
    sagemaker.create_trial_component(TrialComponentName="none")
    components = found(runtime, "ExperimentTrialComponent", SortBy="Parameters.depth.NumberValue")
    names = [component["TrialComponentName"] for component in components]
    assert names == ["depth10", "depth9", "depth0", "depth-1", "none"], "descending by default"


@pytest.mark.parametrize(
    ("resource", "filters", "message"),
    [
        ("Endpoint", [], "does not search for Endpoint"),
        ("Pipeline", [("PipelinName", "Equals", "a")], "Unknown property name: PipelinName"),
        ("Pipeline", [("PipelineName", "GreaterThan", "3")], "GreaterThan compares numbers and times"),
        ("Pipeline", [("PipelineName", "Equals")], "The filter on PipelineName has no Value"),
    ],
)
def test_what_cannot_be_searched_is_refused(
    runtime: LocalRuntime, resource: str, filters: list[tuple[str, ...]], message: str
) -> None:
    with pytest.raises(ClientError, match=message) as refused:
        found(runtime, resource, *filters)
    assert refused.value.response["Error"]["Code"] == "ValidationException"


def test_no_training_job_is_found_where_there_is_none(runtime: LocalRuntime) -> None:
    assert found(runtime, "TrainingJob", ("TrainingJobStatus", "Equals", "Completed")) == []
