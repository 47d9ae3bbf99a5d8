"""Which account is asked while Airflow does not say what its connection holds."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from airflow.sdk.bases.secrets_backend import BaseSecretsBackend
from airflow.sdk.execution_time.comms import GetConnection, GetVariableKeys

from sagemaker_pipelines.aws.errors import is_transient
from sagemaker_pipelines.hooks import connection as module
from sagemaker_pipelines.hooks.connection import AirflowConnectionError
from sagemaker_pipelines.hooks.pipeline import SageMakerPipelineHook
from sagemaker_pipelines.hooks.queue import SqsQueueHook
from sagemaker_pipelines.notifications.sns import SageMakerSnsNotifier
from tests.unit.sagemaker_pipelines.airflow_server import AirflowServer, airflow_server
from tests.waiting import GENEROUS_SECONDS

EXTRA = json.dumps(
    {"region_name": "eu-west-1", "service_config": {"sagemaker": {"name_prefix": "dev-"}}},
)


async def connected(hook: Any) -> Any:
    return await hook.get_async_conn()


HOOKS: dict[str, Callable[[], Any]] = {
    "sagemaker": lambda: SageMakerPipelineHook(aws_conn_id="prod").conn,
    "s3": lambda: SageMakerPipelineHook(aws_conn_id="prod").boto3_client("s3"),
    "logs": lambda: SageMakerPipelineHook(aws_conn_id="prod").boto3_client("logs"),
    "a kill": lambda: SageMakerPipelineHook(aws_conn_id="prod").kill_client(),
    "settings": lambda: SageMakerPipelineHook(aws_conn_id="prod").settings,
    "sqs": lambda: asyncio.run(connected(SqsQueueHook(aws_conn_id="prod"))),
    "sns": lambda: SageMakerSnsNotifier(message="m", aws_conn_id="prod").hook.conn,
}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ASK_SECONDS", 0.2)
    monkeypatch.setattr(module, "ASK_AGAIN_SECONDS", 0.01)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


@pytest.fixture
def server() -> Iterator[AirflowServer]:
    with airflow_server() as server:
        yield server


def account(conn_id: str | None) -> tuple[str, str]:
    """Return the access key and the prefix that a hook of the connection uses."""
    hook = SageMakerPipelineHook(aws_conn_id=conn_id)
    return hook.get_session().get_credentials().access_key, hook.settings.name_prefix


@pytest.mark.parametrize("conn_id", ["prod", "aws_default"])
@pytest.mark.parametrize("fault", ["server", "database"])
def test_one_failed_answer_does_not_send_calls_to_another_account(
    server: AirflowServer, monkeypatch: pytest.MonkeyPatch, conn_id: str, fault: str
) -> None:
    monkeypatch.setattr(module, "ASK_SECONDS", GENEROUS_SECONDS)
    server.connections[conn_id] = EXTRA
    server.faults[GetConnection] = [fault]
    assert account(conn_id) == ("own", "dev-")


@pytest.mark.parametrize("call", HOOKS)
def test_while_airflow_does_not_answer_no_client_of_any_service_is_made(
    server: AirflowServer, call: str
) -> None:
    server.connections["prod"] = EXTRA
    server.faults[GetConnection] = ["server"] * 1000
    with pytest.raises(
        AirflowConnectionError, match=r"'prod' could not be read: .*503.*AWS was not called"
    ) as error:
        HOOKS[call]()
    assert is_transient(error.value)


def test_a_connection_that_does_not_exist_is_named_at_once(server: AirflowServer) -> None:
    with pytest.raises(AirflowConnectionError, match=r"connection 'prod' does not exist.*aws_conn_id=None"):
        account("prod")
    assert server.asked.count(GetVariableKeys) == 1


def test_without_a_default_connection_boto3_finds_the_credentials(server: AirflowServer) -> None:
    assert account("aws_default") == ("test", "")
    assert account(None) == ("test", "")


@pytest.mark.parametrize(
    "faults",
    [
        {GetConnection: ["server"] * 1000},
        {GetVariableKeys: ["server"] * 1000},
        {GetVariableKeys: ["database"] * 1000},
    ],
)
def test_a_default_connection_is_missing_only_where_airflow_and_its_database_say_so(
    server: AirflowServer, faults: dict[type, list[str | None]]
) -> None:
    server.faults.update(faults)
    with pytest.raises(AirflowConnectionError, match="'aws_default' could not be read"):
        account("aws_default")


def test_a_secrets_backend_that_fails_does_not_say_that_a_connection_is_missing() -> None:
    class Vault(BaseSecretsBackend):
        def get_connection(self, conn_id: str, team_name: str | None = None) -> Any:
            raise TimeoutError("the vault is sealed")

    with airflow_server(Vault()), pytest.raises(AirflowConnectionError, match="the vault is sealed"):
        account("aws_default")


def test_a_hook_that_reconnects_keeps_to_its_account(server: AirflowServer) -> None:
    server.connections["prod"] = EXTRA
    hook = SageMakerPipelineHook(aws_conn_id="prod")
    assert hook.client.region == "eu-west-1"
    server.faults[GetConnection] = ["server"] * 1000
    hook.client.reconnect()
    with pytest.raises(AirflowConnectionError):
        hook.client.region  # noqa: B018 - reads the connection
