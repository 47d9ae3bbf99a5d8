"""The hook's calls."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook, SessionFactory

from sagemaker_pipelines.exceptions import SettingsError
from sagemaker_pipelines.hooks.pipeline import SageMakerPipelineHook
from tests.unit.sagemaker_pipelines.samples import BUCKET, ROLE

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
    before = (hook.client.sagemaker, hook.client.s3)
    renewed = {"conn_type": "aws", "login": "renewed", "password": "x", "extra": {"region_name": "eu-west-1"}}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_TEST", json.dumps(renewed))
    assert (hook.client.sagemaker, hook.client.s3) == before
    hook.client.reconnect()
    assert hook.get_session().get_credentials().access_key == "renewed"
    assert {hook.client.region, hook.client.s3.meta.region_name} == {"eu-west-1"}


def test_all_clients_share_a_session_and_the_name_of_their_caller(
    connection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = SageMakerPipelineHook(aws_conn_id=connection)
    asked = []
    create, look = SessionFactory.create_session, AwsGenericHook._get_caller

    def count_sessions(self: Any, *args: Any, **kwargs: Any) -> Any:
        asked.append("session")
        return create(self, *args, **kwargs)

    def count_looks(self: Any, *args: Any) -> Any:
        asked.append("caller")
        return look(self, *args)

    monkeypatch.setattr(SessionFactory, "create_session", count_sessions)
    monkeypatch.setattr(AwsGenericHook, "_get_caller", count_looks)

    class Operator:
        def execute(self) -> list[Any]:
            return [hook.conn, hook.kill_client(), hook.boto3_client("s3"), hook.boto3_client("logs")]

    clients = Operator().execute()
    assert sorted(asked) == ["caller", "session"]
    assert len({client.meta.config.user_agent_extra for client in clients}) == 1
    assert "Caller/Operator " in clients[0].meta.config.user_agent_extra
    assert [client.meta.service_model.service_name for client in clients] == [
        "sagemaker",
        "sagemaker",
        "s3",
        "logs",
    ]
    hook.renew()
    assert hook.boto3_client("s3") is not clients[2]
    assert asked.count("session") == 2


def test_s3_and_logs_are_in_the_hooks_own_region(connection: str) -> None:
    hook = SageMakerPipelineHook(aws_conn_id=connection, region_name="eu-west-1")
    clients = (hook.client.sagemaker, hook.client.s3, hook.client.logs)
    assert {client.meta.region_name for client in clients} == {"eu-west-1"}


def test_services_that_answer_in_xml_are_read_too(hook: SageMakerPipelineHook) -> None:
    assert hook.boto3_client("sts").get_caller_identity()["Account"]
    assert hook.boto3_client("iam").list_roles()["Roles"] == []
