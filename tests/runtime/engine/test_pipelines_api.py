"""The actions on pipelines answer as SageMaker does."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sagemaker_local_runtime.engine.definition import parse_definition
from sagemaker_local_runtime.engine.steps import EXECUTORS
from sagemaker_local_runtime.exceptions import ConflictError, ResourceNotFoundError, ValidationError
from sagemaker_pipelines.definition.document import STEP_TYPES
from tests.runtime.engine.definitions import get, pipeline, processing
from tests.runtime.engine.doubles import Engine, FakeJobs, token, until_stopped

ROLE = "arn:aws:iam::123456789012:role/r"
ONE = pipeline(processing("a"))
TWO = pipeline(processing("a"), processing("b"))


def create(engine: Engine, name: str = "demo", definition: Any = ONE, **request: Any) -> dict[str, Any]:
    request = {"PipelineDefinition": json.dumps(definition), "ClientRequestToken": token(), **request}
    return engine.call("CreatePipeline", PipelineName=name, RoleArn=ROLE, **request)


def test_a_created_pipeline_is_described_by_name_and_by_arn(engine: Engine) -> None:
    arn = create(engine, "MyPipe", PipelineDescription="what it does")["PipelineArn"]
    assert arn == "arn:aws:sagemaker:us-east-1:123456789012:pipeline/MyPipe"
    described = engine.call("DescribePipeline", PipelineName="MyPipe")
    assert described == engine.call("DescribePipeline", PipelineName=arn)
    assert json.loads(described.pop("PipelineDefinition")) == ONE
    for field in ("CreationTime", "LastModifiedTime", "CreatedBy", "LastModifiedBy"):
        described.pop(field)
    assert described == {
        "PipelineArn": arn,
        "PipelineName": "MyPipe",
        "PipelineDisplayName": "MyPipe",
        "PipelineDescription": "what it does",
        "PipelineStatus": "Active",
        "RoleArn": ROLE,
    }


def test_names_and_arns_are_found_in_any_case(engine: Engine) -> None:
    arn = create(engine, "MyPipe")["PipelineArn"]
    for name in ("mypipe", arn.lower()):
        assert engine.call("DescribePipeline", PipelineName=name)["PipelineArn"] == arn


def test_a_taken_name_is_refused_with_the_text_that_the_sdk_recognises(engine: Engine) -> None:
    create(engine)
    with pytest.raises(ValidationError) as error:
        create(engine, "DEMO")
    assert error.value.message == (
        "Pipeline names must be unique within an AWS account and region. "
        "Pipeline with name (DEMO) already exists."
    )


def test_a_repeated_create_token_answers_again_and_refuses_another_request(engine: Engine) -> None:
    same = token()
    first = create(engine, ClientRequestToken=same)
    assert create(engine, ClientRequestToken=same) == first
    with pytest.raises(ConflictError, match="was used before"):
        create(engine, ClientRequestToken=same, PipelineDescription="other")


@pytest.mark.parametrize(
    ("action", "request_"),
    [
        ("DescribePipeline", {}),
        ("UpdatePipeline", {}),
        ("DeletePipeline", {"ClientRequestToken": "d" * 32}),
        ("ListPipelineVersions", {}),
        ("ListPipelineExecutions", {}),
        ("StartPipelineExecution", {"ClientRequestToken": "s" * 32}),
    ],
)
def test_a_missing_pipeline_is_not_found_under_its_arn(
    engine: Engine, action: str, request_: dict[str, Any]
) -> None:
    arn = engine.runtime.account.arn("pipeline/nowhere")
    for name in ("nowhere", arn):
        with pytest.raises(ResourceNotFoundError) as error:
            engine.call(action, PipelineName=name, **request_)
        assert error.value.message == f"Pipeline '{arn}' does not exist."
        assert error.value.code == "ResourceNotFound"


def test_every_update_of_the_definition_is_a_version(engine: Engine) -> None:
    arn = create(engine)["PipelineArn"]
    updated = engine.call("UpdatePipeline", PipelineName="demo", PipelineDefinition=json.dumps(TWO))
    assert updated == {"PipelineArn": arn, "PipelineVersionId": 2}
    renamed = engine.call("UpdatePipeline", PipelineName=arn, PipelineDisplayName="shown")
    assert renamed["PipelineVersionId"] == 2
    versions = engine.call("ListPipelineVersions", PipelineName="demo")["PipelineVersionSummaries"]
    assert [version["PipelineVersionId"] for version in versions] == [2, 1]
    assert "PipelineDefinition" not in versions[0]
    first = engine.call("DescribePipeline", PipelineName="demo", PipelineVersionId=1)
    assert json.loads(first["PipelineDefinition"]) == ONE
    assert first["PipelineDisplayName"] == "shown"


def test_a_missing_version_is_not_found(engine: Engine) -> None:
    create(engine)
    with pytest.raises(ResourceNotFoundError, match="version '7'"):
        engine.call("DescribePipeline", PipelineName="demo", PipelineVersionId=7)


def test_a_version_takes_a_name_and_a_description(engine: Engine) -> None:
    arn = create(engine)["PipelineArn"]
    fields = {"PipelineVersionDisplayName": "first", "PipelineVersionDescription": "the beginning"}
    engine.call("UpdatePipelineVersion", PipelineArn=arn, PipelineVersionId=1, **fields)
    assert fields.items() <= engine.call("DescribePipeline", PipelineName="demo").items()
    summary = engine.call("ListPipelineVersions", PipelineName="demo")["PipelineVersionSummaries"][0]
    assert fields.items() <= summary.items()


def test_pipelines_are_listed_by_prefix_order_and_page(engine: Engine) -> None:
    for name in ("b-1", "a-1", "a-2", "a-3"):
        create(engine, name)
    listed = engine.call("ListPipelines")["PipelineSummaries"]
    assert [p["PipelineName"] for p in listed] == ["a-3", "a-2", "a-1", "b-1"]
    by_name = engine.call("ListPipelines", SortBy="Name", SortOrder="Ascending")["PipelineSummaries"]
    assert [p["PipelineName"] for p in by_name] == ["a-1", "a-2", "a-3", "b-1"]
    names: list[str] = []
    following: dict[str, str] = {}
    while True:
        page = engine.call("ListPipelines", PipelineNamePrefix="a-", MaxResults=2, **following)
        names += [p["PipelineName"] for p in page["PipelineSummaries"]]
        if "NextToken" not in page:
            break
        following = {"NextToken": page["NextToken"]}
    assert names == ["a-3", "a-2", "a-1"]
    newer = engine.call("ListPipelines", CreatedAfter=listed[1]["CreationTime"])["PipelineSummaries"]
    assert [p["PipelineName"] for p in newer] == ["a-3"]


def test_a_foreign_next_token_is_refused(engine: Engine) -> None:
    create(engine)
    with pytest.raises(ValidationError, match="Invalid NextToken"):
        engine.call("ListPipelines", NextToken="xyz")


def test_delete_removes_the_pipeline_and_its_executions(engine: Engine) -> None:
    arn = create(engine)["PipelineArn"]
    execution = engine.start()
    engine.ended(execution)
    same = token()
    assert engine.call("DeletePipeline", PipelineName="demo", ClientRequestToken=same) == {"PipelineArn": arn}
    assert engine.call("DeletePipeline", PipelineName="demo", ClientRequestToken=same) == {"PipelineArn": arn}
    with pytest.raises(ResourceNotFoundError, match="does not exist"):
        engine.describe(execution)
    create(engine)
    assert engine.call("ListPipelineExecutions", PipelineName="demo")["PipelineExecutionSummaries"] == []
    assert len(engine.call("ListPipelineVersions", PipelineName="demo")["PipelineVersionSummaries"]) == 1


def test_a_pipeline_with_a_running_execution_is_not_deleted(engine: Engine, jobs: FakeJobs) -> None:
    jobs.behaviours["a"] = until_stopped
    create(engine)
    arn = engine.start()
    with pytest.raises(ConflictError, match="1 of its executions are running"):
        engine.call("DeletePipeline", PipelineName="demo", ClientRequestToken=token())
    engine.call("StopPipelineExecution", PipelineExecutionArn=arn, ClientRequestToken=token())
    engine.ended(arn)
    engine.call("DeletePipeline", PipelineName="demo", ClientRequestToken=token())


def test_tags_of_pipelines_and_executions(engine: Engine) -> None:
    arn = create(engine, Tags=[{"Key": "team", "Value": "ml"}])["PipelineArn"]
    execution = engine.start()
    engine.call("AddTags", ResourceArn=execution, Tags=[{"Key": "run", "Value": "1"}])
    added = engine.call("AddTags", ResourceArn=arn, Tags=[{"Key": "team", "Value": "data"}])
    assert added == {"Tags": [{"Key": "team", "Value": "data"}]}
    assert engine.call("ListTags", ResourceArn=execution) == {"Tags": [{"Key": "run", "Value": "1"}]}
    engine.call("DeleteTags", ResourceArn=arn, TagKeys=["team"])
    assert engine.call("ListTags", ResourceArn=arn) == {"Tags": []}
    with pytest.raises(ResourceNotFoundError, match="does not exist"):
        engine.call("ListTags", ResourceArn=f"{arn}-other")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{", "It is not valid JSON"),
        ("[]", "Expecting start of Json Object"),
        ('{"Version": NaN}', "NaN is not a JSON number"),
        ("{}", "Version is None"),
        (json.dumps(pipeline(processing("a"), processing("a"))), "step a: 2 steps have this name"),
        (json.dumps(pipeline(processing("a", "b"))), "names the step 'b', which does not exist; remove it."),
        (json.dumps(pipeline(processing("a", X=get("Parameters.Q")))), "'Parameters.Q'"),
        (
            json.dumps(pipeline(processing("a", {"Step": "b", "Trigger": "Sometimes"}), processing("b"))),
            "step a: DependsOn has the trigger 'Sometimes'",
        ),
        (json.dumps(pipeline(processing("a", X={"Std:Upper": "x"}))), "'Std:Upper' is not a function"),
        (
            json.dumps(
                pipeline({**processing("a"), "CacheConfig": {"Enabled": True, "ExpireAfter": "soon"}})
            ),
            "step a: ExpireAfter 'soon' is not an ISO 8601 duration",
        ),
        (
            json.dumps(pipeline({**processing("a"), "RetryPolicies": [{"ExceptionType": ["Oops"]}]})),
            "step a: a retry policy has the ExceptionType ['Oops']",
        ),
        (
            json.dumps(pipeline({"Name": "c", "Type": "Callback", "Arguments": {}})),
            "step c: a Callback step has no SqsQueueUrl",
        ),
    ],
)
def test_a_definition_that_cannot_run_is_refused_with_the_reason(
    engine: Engine, text: str, expected: str
) -> None:
    for action in ("CreatePipeline", "UpdatePipeline"):
        if action == "UpdatePipeline":
            create(engine)
        with pytest.raises(ValidationError) as error:
            engine.call(
                action,
                PipelineName="demo",
                PipelineDefinition=text,
                RoleArn=ROLE,
                ClientRequestToken=token(),
            )
        assert error.value.message.startswith("Unable to parse pipeline definition. ")
        assert expected in error.value.message


@pytest.mark.parametrize("kind", sorted(STEP_TYPES - EXECUTORS.keys()))
def test_every_other_step_type_of_the_sdk_is_refused_by_name(engine: Engine, kind: str) -> None:
    with pytest.raises(ValidationError) as error:
        create(engine, definition=pipeline({"Name": "x", "Type": kind, "Arguments": {}}))
    assert f"step x: the local runtime does not execute steps of type {kind};" in error.value.message


def test_one_source_of_the_definition_is_needed(engine: Engine) -> None:
    request = {"PipelineName": "demo", "RoleArn": ROLE, "ClientRequestToken": token()}
    with pytest.raises(ValidationError, match="Neither PipelineDefinition nor"):
        engine.call("CreatePipeline", **request)
    location = {"Bucket": "b", "ObjectKey": "k"}
    with pytest.raises(ValidationError, match="Both PipelineDefinition and"):
        engine.call(
            "CreatePipeline", **request, PipelineDefinition="{}", PipelineDefinitionS3Location=location
        )


words = st.sampled_from(
    ["Name", "Type", "Arguments", "Steps", "DependsOn", "Condition", "Processing", "a", "Get", "Std:Join",
     "Steps.a.B", "Parameters", "Conditions", "IfSteps", "CacheConfig", "RetryPolicies", "PropertyFiles"]
)  # fmt: skip
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=4),
    max_leaves=15,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=anything, parameters=anything)
def test_any_json_is_parsed_or_refused_as_a_definition(jobs: FakeJobs, steps: Any, parameters: Any) -> None:
    text = json.dumps({"Version": "2020-12-01", "Steps": steps, "Parameters": parameters})
    try:
        definition = parse_definition(text)
    except ValidationError as error:
        assert error.message.startswith("Unable to parse pipeline definition.")  # noqa: PT017 - either is right
    else:
        assert definition["Steps"]
