"""Which AWS account a command asks: an Airflow connection, or plain AWS credentials."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from sagemaker_pipelines.exceptions import ParameterError

if TYPE_CHECKING:
    from sagemaker_pipelines.aws.client import SageMakerClient

DEFAULT_CONN_ID = "aws_default"


def has_airflow() -> bool:
    """Return whether this machine is set up for Airflow: a home of it, or the default connection."""
    if "AIRFLOW_CONN_AWS_DEFAULT" in os.environ or "AIRFLOW_HOME" in os.environ:
        return True
    return (Path.home() / "airflow" / "airflow.cfg").exists()


def leave_no_airflow_behind() -> None:
    """Give Airflow a temporary home where it has none: importing it writes its configuration there.

    It has to be called before Airflow is imported.
    """
    if not has_airflow():
        home = tempfile.TemporaryDirectory(prefix="sagemaker-pipelines-")
        _HOMES.append(home)
        os.environ["AIRFLOW_HOME"] = home.name
        os.environ["SAGEMAKER_PIPELINES_PLAIN"] = "1"


def client_of(conn_id: str, region: str | None) -> SageMakerClient:
    """Return what a command asks AWS with.

    :param conn_id: the Airflow connection, see :func:`connection_of`.
    :param region: the region; None takes the connection's, or AWS's own settings.
    """
    from sagemaker_pipelines.hooks.pipeline import SageMakerPipelineHook

    return SageMakerPipelineHook(aws_conn_id=connection_of(conn_id), region_name=region).client


def connection_of(conn_id: str) -> str | None:
    """Return the connection to ask AWS with; None where boto3 finds its credentials by itself.

    Without Airflow the default connection does not exist. The provider takes boto3's own credentials for any
    connection that does not exist: with a misspelt name they might be those of another account.

    :param conn_id: the Airflow connection.
    :raises ParameterError: it is not the default one, and does not exist.
    """
    if conn_id == DEFAULT_CONN_ID:
        return None if "SAGEMAKER_PIPELINES_PLAIN" in os.environ else conn_id
    from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook

    try:
        BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        raise ParameterError(
            f"There is no Airflow connection {conn_id!r}. `airflow connections list` shows those of its "
            f"database; AIRFLOW_CONN_{conn_id.upper()} would define it here."
        ) from None
    return conn_id


def choose(profile: str | None, endpoint_url: str | None, settings: Path | None) -> None:
    """Take up the options that all commands share, as the environment variables that AWS and Airflow read."""
    for name, value in {
        "AWS_PROFILE": profile,
        "AWS_ENDPOINT_URL": endpoint_url,
        "AIRFLOW__SAGEMAKER_PIPELINES__SETTINGS_FILE": str(settings) if settings else None,
    }.items():
        if value is not None:
            os.environ[name] = value


# They are removed when the process ends.
_HOMES: list[tempfile.TemporaryDirectory[str]] = []
