"""The environment variables of the stack's Airflow processes."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from sagemaker_local_runtime.client_environment import client_environment
from stack.settings import ROOT, StackSettings


def airflow_environment(settings: StackSettings, *, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment for Airflow's commands.

    The caller's environment overrides the defaults, so that
    ``AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE=True make up`` works as expected. It does not override the paths,
    the addresses and the AWS connection of the stack.

    :param settings: the stack.
    :param extra: more variables, which override everything.
    """
    # A caller's profile or keys must not reach the tasks: everything goes through the connection.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    bundle = os.environ.get("AWS_CA_BUNDLE")
    return {
        **_speed_settings(),
        **_laptop_settings(),
        **inherited,
        **({"AWS_CA_BUNDLE": bundle} if bundle else {}),
        **_place_settings(settings),
        **_secret_settings(settings.airflow_home),
        "AIRFLOW_CONN_AWS_DEFAULT": json.dumps(aws_connection(settings)),
        **(extra or {}),
    }


def shell_environment(settings: StackSettings) -> dict[str, str]:
    """Return the variables that point the commands of Airflow and AWS, and the SDK's programs, at the stack.

    :param settings: the stack.
    """
    airflow = airflow_environment(settings)
    return {
        **{name: value for name, value in airflow.items() if name.startswith("AIRFLOW_")},
        **client_environment(settings.runtime_url, settings.region),
    }


def aws_connection(settings: StackSettings) -> dict[str, object]:
    """Return the connection ``aws_default``, which for AWS itself would only lack ``endpoint_url``."""
    return {
        "conn_type": "aws",
        # The local runtime counts calls by access key. This is Airflow's, see tests/e2e/project/test_iam.py.
        "login": "airflow",
        "password": "airflow",
        "extra": {
            "region_name": settings.region,
            "endpoint_url": settings.runtime_url,
            "service_config": {
                "sagemaker": {
                    # A new Airflow database may meet a local runtime that was kept.
                    "environment": "laptop",
                    "artifact_bucket": settings.bucket,
                    "role_arn": settings.role_arn,
                    "name_prefix": settings.name_prefix,
                    "notification_target": settings.topic_arn,
                }
            },
        },
    }


def _speed_settings() -> dict[str, str]:
    # The defaults suit a cluster. On a laptop they only cause delays: docs/decisions/0006.
    return {
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.1",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
        "AIRFLOW__DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": "1",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "5",
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "15",
        "AIRFLOW__SAGEMAKER_PIPELINES__SETTLE_SECONDS": "2",
    }


def _laptop_settings() -> dict[str, str]:
    return {
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "8",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        # No login, because everything is on loopback; requests of foreign web pages are refused.
        "AIRFLOW__CORE__AUTH_MANAGER": "stack.auth_manager.LoopbackAuthManager",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        # Otherwise a stack that is started occasionally would run yesterday's interval at each unpause.
        "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",
        "AIRFLOW__API__WORKERS": "1",
        # A task fails after a few answers that come late, and one worker on a busy laptop answers late.
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "30",
        # On a laptop, nobody waits five minutes for a retry.
        "AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY": "5",
        # On macOS the system's proxy look-up is not safe after a fork, and Airflow forks.
        "no_proxy": "*",
    }


def _place_settings(settings: StackSettings) -> dict[str, str]:
    home = settings.airflow_home
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(settings.dags_folder),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
        "AIRFLOW__API__HOST": settings.host,
        "AIRFLOW__API__PORT": str(settings.airflow_port),
        "AIRFLOW__API__BASE_URL": settings.airflow_url,
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{settings.airflow_url}/execution/",
        "PYTHONPATH": os.pathsep.join([str(ROOT / "plugins"), *_inherited_python_path()]),
    }


def _inherited_python_path() -> list[str]:
    return [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]


def _secret_settings(home: Path) -> dict[str, str]:
    """Return the keys that Airflow's processes share; they are created once per stack."""
    path = home / "secrets.json"
    if not path.exists():
        home.mkdir(parents=True, exist_ok=True)
        keys = {
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(32),
            "AIRFLOW__API__SECRET_KEY": secrets.token_urlsafe(32),
            # Otherwise the first task creates it, and waits until it is certain.
            "AIRFLOW_VAR_SAGEMAKER_PIPELINES_DEPLOYMENT_ID": secrets.token_hex(8),
        }
        path.touch(mode=0o600)
        path.write_text(json.dumps(keys))
    loaded: dict[str, str] = json.loads(path.read_text())
    return loaded
