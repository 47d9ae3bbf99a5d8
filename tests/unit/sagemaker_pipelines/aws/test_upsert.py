"""Upsert: what is written, and what is not, when others write too."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import botocore
import pytest
from botocore.exceptions import ClientError
from botocore.stub import ANY, Stubber

from sagemaker_pipelines.aws import upsert
from sagemaker_pipelines.aws.client import SageMakerClient
from sagemaker_pipelines.aws.environment import ENVIRONMENT_TAG
from sagemaker_pipelines.aws.upsert import upsert_pipeline
from sagemaker_pipelines.definition import Envelope, canonical, definition_hash
from sagemaker_pipelines.exceptions import (
    DefinitionError,
    InvalidDefinitionError,
    SettingsError,
    UpsertError,
)
from sagemaker_pipelines.settings import PipelineSettings
from tests.unit.sagemaker_pipelines.samples import BUCKET, PIPELINE_ARN, ROLE, SCRIPT

NAME = "dev-gated"
DESCRIPTION = "Evaluate and gate. [environment: aws_test]"
CLAIM = "dev-sagemaker-pipelines-environment.json"


@pytest.fixture
def deployed(client: SageMakerClient, envelope: Envelope) -> dict[str, Any]:
    """DescribePipeline's answer where the envelope is deployed already."""
    filled = envelope.fill(client.settings.placeholder_values, region="us-east-1")
    return {
        "PipelineArn": PIPELINE_ARN,
        # Other whitespace and order of keys than ours: AWS need not keep them.
        "PipelineDefinition": json.dumps(dict(reversed(filled.items()))),
        "PipelineDescription": DESCRIPTION,
        "RoleArn": ROLE,
    }


def versions(stubber: Stubber, *ids: int, order: str = "Descending") -> None:
    stubber.add_response(
        "list_pipeline_versions",
        {"PipelineVersionSummaries": [{"PipelineVersionId": i} for i in ids]},
        {"PipelineName": NAME, "SortOrder": order, "MaxResults": 1},
    )


def missing(stubber: Stubber) -> None:
    stubber.add_client_error("list_pipeline_versions", "ResourceNotFound", "Pipeline does not exist.")
    stubber.add_client_error("describe_pipeline", "ResourceNotFound", "Pipeline does not exist.")


def keys(client: SageMakerClient) -> list[str]:
    return [item["Key"] for item in client.s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])]


@pytest.fixture
def asset_key(client: SageMakerClient, envelope: Envelope) -> str:
    """The key of the envelope's asset, which S3 holds as an upsert has uploaded it."""
    key = envelope.assets[0].key("dev-")
    client.s3.put_object(Bucket=BUCKET, Key=key, Body=SCRIPT, ChecksumAlgorithm="SHA256")
    return key


def unchanged(stubber: Stubber, deployed: dict[str, Any]) -> None:
    versions(stubber, 7)
    stubber.add_response("describe_pipeline", deployed, {"PipelineName": NAME, "PipelineVersionId": 7})


@pytest.mark.usefixtures("asset_key")
def test_an_unchanged_definition_makes_two_reads_one_list_and_no_write(
    client: SageMakerClient,
    sagemaker: Stubber,
    envelope: Envelope,
    deployed: dict[str, Any],
    s3_calls: list[str],
) -> None:
    unchanged(sagemaker, deployed)
    result = upsert_pipeline(client, envelope)
    assert (result.changed, result.created, result.pipeline_version_id) == (False, False, 7)
    assert result.pipeline_name == NAME
    assert s3_calls == ["ListObjectsV2"]


def test_a_deleted_asset_of_an_unchanged_definition_is_uploaded_again(
    client: SageMakerClient, sagemaker: Stubber, envelope: Envelope, deployed: dict[str, Any]
) -> None:
    unchanged(sagemaker, deployed)
    result = upsert_pipeline(client, envelope)
    assert (result.changed, result.created, result.pipeline_version_id) == (True, False, 7)
    assert client.read_object(f"s3://{BUCKET}/{envelope.assets[0].key('dev-')}") == SCRIPT.encode()


def test_a_missing_pipeline_is_created_with_assets_tags_and_its_first_version(
    client: SageMakerClient, sagemaker: Stubber, envelope: Envelope, deployed: dict[str, Any]
) -> None:
    missing(sagemaker)
    expected = json.loads(deployed["PipelineDefinition"])
    sagemaker.add_response(
        "create_pipeline",
        {"PipelineArn": PIPELINE_ARN},
        {
            "PipelineName": NAME,
            "PipelineDefinition": canonical(expected),
            "PipelineDescription": DESCRIPTION,
            "RoleArn": ROLE,
            "Tags": [
                {"Key": upsert.HASH_TAG, "Value": definition_hash(expected)},
                {"Key": ENVIRONMENT_TAG, "Value": "aws_test"},
            ],
        },
    )
    versions(sagemaker, 1, order="Ascending")
    result = upsert_pipeline(client, envelope)
    assert (result.changed, result.created, result.pipeline_version_id) == (True, True, 1)
    assert keys(client) == [f"dev-assets/{envelope.assets[0].sha256}/evaluate.py", CLAIM]
    assert client.read_object(f"s3://{BUCKET}/{keys(client)[0]}") == SCRIPT.encode()


@pytest.mark.usefixtures("asset_key")
def test_a_stored_asset_is_not_uploaded_again(
    client: SageMakerClient,
    sagemaker: Stubber,
    envelope: Envelope,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client.s3.put_object(Bucket=BUCKET, Key=CLAIM, Body=b'{"environment": "aws_test"}')
    monkeypatch.setattr(client.s3, "put_object", lambda **_: pytest.fail("uploaded again"))
    missing(sagemaker)
    sagemaker.add_response("create_pipeline", {"PipelineArn": PIPELINE_ARN})
    versions(sagemaker, 1, order="Ascending")
    assert upsert_pipeline(client, envelope).created


@pytest.mark.parametrize(
    "drift",
    [
        {"RoleArn": "arn:aws:iam::123456789012:role/Other"},
        {"PipelineDescription": "Older."},
        {"PipelineDefinition": "{}"},
        {"PipelineDefinition": "not JSON"},
    ],
)
def test_whatever_differs_is_updated_tagged_and_pinned(
    client: SageMakerClient,
    sagemaker: Stubber,
    envelope: Envelope,
    deployed: dict[str, Any],
    drift: dict[str, str],
) -> None:
    versions(sagemaker, 7)
    sagemaker.add_response("describe_pipeline", {**deployed, **drift})
    sagemaker.add_response("add_tags", {}, {"ResourceArn": PIPELINE_ARN, "Tags": ANY})
    sagemaker.add_response("update_pipeline", {"PipelineArn": PIPELINE_ARN, "PipelineVersionId": 8})
    result = upsert_pipeline(client, envelope)
    assert (result.changed, result.created, result.pipeline_version_id) == (True, False, 8)


def test_an_update_that_fails_beside_its_tags_is_made_whole_by_the_retry(
    client: SageMakerClient, sagemaker: Stubber, envelope: Envelope, deployed: dict[str, Any]
) -> None:
    older = {**deployed, "PipelineDefinition": "{}"}
    versions(sagemaker, 7)
    sagemaker.add_response("describe_pipeline", older)
    sagemaker.add_client_error("add_tags", "ThrottlingException")
    with pytest.raises(ClientError, match="ThrottlingException"):
        upsert_pipeline(client, envelope)
    versions(sagemaker, 7)
    sagemaker.add_response("describe_pipeline", older)
    sagemaker.add_response("add_tags", {}, {"ResourceArn": PIPELINE_ARN, "Tags": ANY})
    sagemaker.add_response("update_pipeline", {"PipelineArn": PIPELINE_ARN, "PipelineVersionId": 8})
    assert upsert_pipeline(client, envelope).changed


@pytest.mark.usefixtures("asset_key")
def test_parallelism_is_compared_only_when_it_is_given(
    client: SageMakerClient, sagemaker: Stubber, envelope: Envelope, deployed: dict[str, Any]
) -> None:
    other = {**deployed, "ParallelismConfiguration": {"MaxParallelExecutionSteps": 3}}
    versions(sagemaker, 7)
    sagemaker.add_response("describe_pipeline", other)
    assert not upsert_pipeline(client, envelope).changed
    versions(sagemaker, 7)
    sagemaker.add_response("describe_pipeline", other)
    sagemaker.add_response("add_tags", {})
    sagemaker.add_response("update_pipeline", {"PipelineArn": PIPELINE_ARN, "PipelineVersionId": 8})
    assert upsert_pipeline(client, envelope, max_parallel_execution_steps=5).changed


def test_a_change_is_shown_as_a_diff(
    client: SageMakerClient,
    sagemaker: Stubber,
    envelope: Envelope,
    deployed: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    deployed["PipelineDefinition"] = deployed["PipelineDefinition"].replace("6.0", "9.0")
    versions(sagemaker, 7)
    sagemaker.add_response("describe_pipeline", deployed)
    sagemaker.add_response("add_tags", {})
    sagemaker.add_response("update_pipeline", {"PipelineArn": PIPELINE_ARN, "PipelineVersionId": 8})
    upsert_pipeline(client, envelope)
    shown = capsys.readouterr().out
    assert '-      "DefaultValue": 9.0' in shown
    assert '+      "DefaultValue": 6.0' in shown


def test_a_version_that_came_between_is_named(
    client: SageMakerClient,
    sagemaker: Stubber,
    envelope: Envelope,
    deployed: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    versions(sagemaker, 7)
    sagemaker.add_response("describe_pipeline", {**deployed, "PipelineDefinition": "{}"})
    sagemaker.add_response("add_tags", {})
    sagemaker.add_response("update_pipeline", {"PipelineArn": PIPELINE_ARN, "PipelineVersionId": 9})
    assert upsert_pipeline(client, envelope).pipeline_version_id == 9
    shown = capsys.readouterr().out
    assert "versions 8 to 8 were written by somebody else" in shown


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("ValidationException", "Pipeline names must be unique within an AWS account and region."),
        ("ConflictException", "Another operation is in progress."),
    ],
)
def test_who_creates_second_takes_over_what_the_first_created(
    client: SageMakerClient,
    sagemaker: Stubber,
    envelope: Envelope,
    deployed: dict[str, Any],
    code: str,
    message: str,
) -> None:
    missing(sagemaker)
    sagemaker.add_client_error("create_pipeline", code, message)
    versions(sagemaker, 1)
    sagemaker.add_response("describe_pipeline", deployed)
    result = upsert_pipeline(client, envelope)
    assert (result.changed, result.pipeline_version_id) == (False, 1)


def test_endless_conflicts_end_in_an_error(
    client: SageMakerClient,
    sagemaker: Stubber,
    envelope: Envelope,
    deployed: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sagemaker_pipelines.aws.upsert.time.sleep", lambda _: None)
    for _ in range(upsert.ATTEMPTS):
        versions(sagemaker, 7)
        sagemaker.add_response("describe_pipeline", {**deployed, "PipelineDefinition": "{}"})
        sagemaker.add_response("add_tags", {})
        sagemaker.add_client_error("update_pipeline", "ConflictException", "busy")
    with pytest.raises(UpsertError, match="dev-gated"):
        upsert_pipeline(client, envelope)


def test_a_definition_above_the_inline_limit_goes_through_s3(
    client: SageMakerClient, sagemaker: Stubber, envelope: Envelope, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upsert, "MAX_INLINE_DEFINITION", 100)
    missing(sagemaker)
    sagemaker.add_response(
        "create_pipeline",
        {"PipelineArn": PIPELINE_ARN},
        {
            "PipelineName": NAME,
            "PipelineDefinitionS3Location": {"Bucket": BUCKET, "ObjectKey": ANY},
            "PipelineDescription": ANY,
            "RoleArn": ROLE,
            "Tags": ANY,
        },
    )
    versions(sagemaker, 1, order="Ascending")
    result = upsert_pipeline(client, envelope)
    stored = client.read_object(f"s3://{BUCKET}/dev-gated/definitions/{result.definition_hash}.json")
    assert definition_hash(json.loads(stored)) == result.definition_hash


def test_kms_vpc_and_tags_of_the_environment_reach_every_job_and_the_assets(
    client: SageMakerClient, sagemaker: Stubber, envelope: Envelope
) -> None:
    settings = replace(
        client.settings,
        kms_key_id="key-1",
        subnet_ids=("subnet-1",),
        security_group_ids=("sg-1",),
        tags={"team": "ml"},
    )
    vars(client.account)["settings"] = settings
    job = upsert.PipelineUpsert(client, envelope, tags={"owner": "me"}).definition["Steps"][0]["Arguments"]
    assert job["ProcessingOutputConfig"]["KmsKeyId"] == "key-1"
    assert job["NetworkConfig"]["VpcConfig"] == {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]}
    assert {tag["Key"]: tag["Value"] for tag in job["Tags"]} == {"team": "ml", "owner": "me"}
    missing(sagemaker)
    sagemaker.add_response("create_pipeline", {"PipelineArn": PIPELINE_ARN})
    versions(sagemaker, 1, order="Ascending")
    upsert_pipeline(client, envelope)
    head = client.s3.head_object(Bucket=BUCKET, Key=envelope.assets[0].key("dev-"))
    assert head["SSEKMSKeyId"] == "key-1"


@pytest.mark.parametrize("name", ["role_arn", "artifact_bucket"])
def test_a_missing_setting_is_named_before_any_call(
    client: SageMakerClient, sagemaker: Stubber, envelope: Envelope, name: str
) -> None:
    vars(client.account)["settings"] = replace(client.settings, **{name: None})  # type: ignore[arg-type]
    assert isinstance(client.settings, PipelineSettings)
    with pytest.raises(SettingsError, match=f"setting {name} is missing.*service_config"):
        upsert_pipeline(client, envelope)


def test_an_edited_asset_stops_the_upsert_before_anything_is_written(
    client: SageMakerClient, sagemaker: Stubber, envelope: Envelope
) -> None:
    (envelope.root / envelope.assets[0].path).write_text("edited")
    missing(sagemaker)
    with pytest.raises(DefinitionError, match="make compile"):
        upsert_pipeline(client, envelope)
    assert keys(client) == []


def test_an_argument_that_botocore_does_not_know_is_a_warning(
    client: SageMakerClient, envelope: Envelope, capsys: pytest.CaptureFixture[str]
) -> None:
    """SageMaker may be newer than what is installed here: it decides."""
    envelope.definition["Steps"][0]["Arguments"]["Enviroment"] = {}
    upsert.PipelineUpsert(client, envelope)
    warning = capsys.readouterr().out
    assert "warning" in warning
    assert "step Evaluate: Unknown Argument member 'Enviroment'" in warning
    assert "use 'Environment'" in warning
    assert f"botocore {botocore.__version__}" in warning


def test_an_argument_that_the_source_allows_is_no_warning(
    client: SageMakerClient, envelope: Envelope, capsys: pytest.CaptureFixture[str]
) -> None:
    envelope.definition["Steps"][0]["Arguments"]["NewMember"] = {}
    upsert.PipelineUpsert(client, replace(envelope, allowed_arguments=("Processing.NewMember",)))
    assert "NewMember" not in capsys.readouterr().out


def test_what_no_sagemaker_accepts_stops_the_upsert_before_any_call(
    client: SageMakerClient, envelope: Envelope
) -> None:
    envelope.definition["Steps"][0]["Arguments"]["RoleArn"] = 3
    with pytest.raises(InvalidDefinitionError, match="step Evaluate: RoleArn is 3; make it a string"):
        upsert.PipelineUpsert(client, envelope)
