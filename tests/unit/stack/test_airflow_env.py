from __future__ import annotations

import json
from pathlib import Path

import pytest

from sagemaker_local_runtime.client_environment import PYTHON_PATH
from stack.airflow_env import airflow_environment, shell_environment
from stack.settings import StackSettings


@pytest.fixture
def settings(tmp_path: Path) -> StackSettings:
    return StackSettings(state_dir=tmp_path, airflow_port=8123, runtime_port=4123)


def test_the_callers_aws_credentials_do_not_reach_the_tasks(
    settings: StackSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.setenv(name, "mine")
    environment = airflow_environment(settings)
    assert [name for name in environment if name.startswith("AWS_") and name != "AWS_CA_BUNDLE"] == []


def test_the_connection_leads_to_the_stacks_own_endpoint_and_topic(settings: StackSettings) -> None:
    connection = json.loads(airflow_environment(settings)["AIRFLOW_CONN_AWS_DEFAULT"])
    assert connection["extra"]["endpoint_url"] == "http://127.0.0.1:4123"
    own = connection["extra"]["service_config"]["sagemaker"]
    assert own["artifact_bucket"] == "sagemaker-us-east-1-123456789012"
    assert own["notification_target"] == settings.topic_arn


def test_a_setting_of_the_caller_wins_over_a_default_but_not_over_a_place(
    settings: StackSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE", "True")
    monkeypatch.setenv("AIRFLOW_HOME", "/elsewhere")
    environment = airflow_environment(settings)
    assert environment["AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE"] == "True"
    assert environment["AIRFLOW_HOME"] == str(settings.airflow_home)


def test_the_keys_are_made_once_and_only_their_owner_can_read_them(settings: StackSettings) -> None:
    first, second = airflow_environment(settings), airflow_environment(settings)
    assert first["AIRFLOW__API_AUTH__JWT_SECRET"] == second["AIRFLOW__API_AUTH__JWT_SECRET"]
    path = settings.airflow_home / "secrets.json"
    assert path.stat().st_mode & 0o077 == 0


def test_tasks_call_the_stacks_own_api_server(settings: StackSettings) -> None:
    environment = airflow_environment(settings)
    assert environment["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:8123/execution/"


def test_a_shell_gets_the_stacks_airflow_and_its_endpoint_and_nothing_else(settings: StackSettings) -> None:
    """Whatever else the stack's processes are given, such as ``no_proxy``, would change a shell for good."""
    environment = shell_environment(settings)
    assert environment["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4123"
    assert environment["AIRFLOW_HOME"] == str(settings.airflow_home)
    assert "AIRFLOW_CONN_AWS_DEFAULT" in environment
    # For the SageMaker SDK, see docs/decisions/0021.
    assert environment.pop("PYTHONPATH").startswith(str(PYTHON_PATH))
    assert {name.partition("_")[0] for name in environment} == {"AIRFLOW", "AWS"}
