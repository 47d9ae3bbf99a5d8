"""The hook's calls."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.stub import Stubber

from sagemaker_pipelines.aws.objects import split_s3_uri
from sagemaker_pipelines.exceptions import DefinitionError, SettingsError
from sagemaker_pipelines.hooks.pipeline import SageMakerPipelineHook
from tests.unit.sagemaker_pipelines.samples import ARN, BUCKET, ROLE

GROUP = "dev-gated"
PACKAGE = "arn:aws:sagemaker:us-east-1:123456789012:model-package/dev-gated"


def test_the_environment_comes_from_the_connection(hook: SageMakerPipelineHook) -> None:
    assert (hook.settings.artifact_bucket, hook.settings.role_arn) == (BUCKET, ROLE)
    assert hook.settings.name_prefix == "dev-"


def test_the_settings_file_is_named_by_an_airflow_option(
    connection: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "settings.toml"
    path.write_text("[connections.aws_test]\nkms_key_id = 'key-1'\nname_prefix = 'file-'\n")
    monkeypatch.setenv("AIRFLOW__SAGEMAKER_PIPELINES__SETTINGS_FILE", str(path))
    settings = SageMakerPipelineHook(aws_conn_id=connection).settings
    assert (settings.kms_key_id, settings.name_prefix) == ("key-1", "dev-")


@pytest.mark.parametrize(
    ("extra", "where"),
    [
        ({"service_config": "sagemaker"}, "extra of connection 'aws_odd', service_config is 'sagemaker'"),
        ({"service_config": {"sagemaker": []}}, r"service_config.sagemaker is \[\] \(list\)"),
        ({"config_kwargs": "retries"}, "extra of connection 'aws_odd' cannot be read"),
    ],
)
def test_an_extra_of_another_shape_is_named_before_any_client_is_made(
    monkeypatch: pytest.MonkeyPatch, extra: dict[str, Any], where: str
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_AWS_ODD", json.dumps({"conn_type": "aws", "extra": extra}))
    with pytest.raises(SettingsError, match=where):
        SageMakerPipelineHook(aws_conn_id="aws_odd").conn  # noqa: B018 - makes the client
    with pytest.raises(SettingsError, match=where):
        SageMakerPipelineHook(aws_conn_id="aws_odd").settings  # noqa: B018 - reads the extra


def test_a_hook_that_reconnects_reads_the_credentials_that_the_connection_has_now(
    connection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = SageMakerPipelineHook(aws_conn_id=connection)
    before = (hook.conn, hook.s3)
    renewed = {"conn_type": "aws", "login": "renewed", "password": "x", "extra": {"region_name": "eu-west-1"}}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_TEST", json.dumps(renewed))
    assert (hook.conn, hook.s3) == before
    hook.reconnect()
    assert hook.get_session().get_credentials().access_key == "renewed"
    assert {hook.conn.meta.region_name, hook.s3.meta.region_name} == {"eu-west-1"}


def test_s3_and_logs_are_in_the_hooks_own_region(connection: str) -> None:
    hook = SageMakerPipelineHook(aws_conn_id=connection, region_name="eu-west-1")
    clients = (hook.conn, hook.s3, hook.logs)
    assert {client.meta.region_name for client in clients} == {"eu-west-1"}


@pytest.mark.parametrize(
    ("uri", "exists"),
    [
        (f"s3://{BUCKET}/data/train.csv", True),
        (f"s3://{BUCKET}/data/", True),
        (f"s3://{BUCKET}/data", True),
        (f"s3://{BUCKET}/dat", False),
        (f"s3://{BUCKET}/data/train", False),
        (f"s3://{BUCKET}/", True),
        (f"s3://{BUCKET}/other", False),
        ("s3://no-such-bucket/data", False),
    ],
)
def test_data_exist_at_a_uri_or_in_the_folder_of_its_name(
    hook: SageMakerPipelineHook, uri: str, exists: bool
) -> None:
    hook.s3.put_object(Bucket=BUCKET, Key="data/train.csv", Body=b"1")
    assert hook.object_exists(uri) is exists


@pytest.mark.parametrize("uri", ["data/train.csv", "https://bucket/key", "s3:///key", ""])
def test_a_uri_that_is_not_s3s_is_refused(uri: str) -> None:
    with pytest.raises(ValueError, match="expected s3://<bucket>/<key>"):
        split_s3_uri(uri)


def test_a_key_may_hold_any_character() -> None:
    assert split_s3_uri("s3://bucket/a b/c#d?e=f") == ("bucket", "a b/c#d?e=f")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("ResourceNotFound", "Pipeline does not exist."),
        ("ValidationException", "Pipeline 'x' does not exist."),
    ],
)
def test_a_missing_pipeline_has_no_version_and_no_definition(
    hook: SageMakerPipelineHook, sagemaker: Stubber, code: str, message: str
) -> None:
    sagemaker.add_client_error("list_pipeline_versions", code, message)
    sagemaker.add_client_error("describe_pipeline", code, message)
    assert hook.latest_version_id("x") is None
    with pytest.raises(DefinitionError, match=r"no pipeline 'x'.*Upsert it first"):
        hook.deployed_definition("x")


def package(number: int, status: str = "Completed") -> dict[str, Any]:
    return {"ModelPackageArn": f"{PACKAGE}/{number}", "ModelPackageStatus": status, "CreationTime": 0}


def test_the_newest_approved_model_package_is_the_first_that_is_complete(
    hook: SageMakerPipelineHook, sagemaker: Stubber
) -> None:
    sagemaker.add_response(
        "list_model_packages",
        {"ModelPackageSummaryList": [package(3, "Failed"), package(2), package(1)]},
        {
            "ModelPackageGroupName": GROUP,
            "ModelApprovalStatus": "Approved",
            "SortBy": "CreationTime",
            "SortOrder": "Descending",
            "MaxResults": 100,
        },
    )
    assert hook.newest_approved_model_package(GROUP) == f"{PACKAGE}/2"


def test_a_group_without_an_approved_model_package_has_none(
    hook: SageMakerPipelineHook, sagemaker: Stubber
) -> None:
    sagemaker.add_response("list_model_packages", {"ModelPackageSummaryList": []})
    assert hook.newest_approved_model_package(GROUP) is None


@pytest.mark.parametrize(
    ("metadata", "arn"),
    [
        ({"RegisterModel": {"Arn": f"{PACKAGE}/1"}}, f"{PACKAGE}/1"),
        ({"Model": {"Arn": "model"}}, None),
        ({}, None),
    ],
)
def test_the_model_package_of_an_execution_is_that_of_its_register_step(
    hook: SageMakerPipelineHook, sagemaker: Stubber, metadata: dict[str, Any], arn: str | None
) -> None:
    step = {"StepName": "Register", "StepStatus": "Succeeded", "Metadata": metadata}
    sagemaker.add_response("list_pipeline_execution_steps", {"PipelineExecutionSteps": [step]})
    assert hook.registered_model_package(ARN) == arn
