"""Choose the AWS account of a command: an Airflow connection, or plain AWS credentials."""

from __future__ import annotations

import getpass
import os
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from sagemaker_pipelines.exceptions import ParameterError

if TYPE_CHECKING:
    from sagemaker_pipelines.aws.client import SageMakerClient

DEFAULT_CONN_ID = "aws_default"


def has_airflow() -> bool:
    """Return whether this machine is set up for Airflow: with a home, or with the default connection."""
    if "AIRFLOW_CONN_AWS_DEFAULT" in os.environ or "AIRFLOW_HOME" in os.environ:
        return True
    return (Path.home() / "airflow" / "airflow.cfg").exists()


def leave_no_airflow_behind() -> None:
    """Give Airflow a temporary home if it has none, because importing it writes its configuration there.

    This has to be called before Airflow is imported.
    """
    if not has_airflow():
        home = tempfile.TemporaryDirectory(prefix="sagemaker-pipelines-")
        _HOMES.append(home)
        os.environ["AIRFLOW_HOME"] = home.name
        os.environ["SAGEMAKER_PIPELINES_PLAIN"] = "1"


def client_of(conn_id: str, region: str | None) -> SageMakerClient:
    """Return the client with which a command calls AWS.

    :param conn_id: the Airflow connection, see :func:`connection_of`.
    :param region: the region; None uses the connection's, or AWS's own settings.
    """
    from sagemaker_pipelines.hooks.pipeline import SageMakerPipelineHook

    return SageMakerPipelineHook(aws_conn_id=connection_of(conn_id), region_name=region).client


def connection_of(conn_id: str) -> str | None:
    """Return the connection with which to call AWS; None if boto3 should find its own credentials.

    Without Airflow, the default connection does not exist. The provider uses boto3's own credentials for any
    connection that does not exist; with a misspelt name, these might be for another account.

    :param conn_id: the Airflow connection.
    :raises ParameterError: it is not the default one and does not exist.
    """
    if conn_id == DEFAULT_CONN_ID:
        return None if "SAGEMAKER_PIPELINES_PLAIN" in os.environ else conn_id
    from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook

    try:
        BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        raise ParameterError(
            f"The Airflow connection {conn_id!r} does not exist. Choose one that `airflow connections list` "
            f"shows, or define it here with AIRFLOW_CONN_{conn_id.upper()}."
        ) from None
    return conn_id


def person() -> str:
    """Return who calls the command."""
    return f"{getpass.getuser()} on {socket.gethostname()}"


def choose(profile: str | None, endpoint_url: str | None, settings: Path | None) -> None:
    """Set the options that all commands share, as environment variables that AWS and Airflow read."""
    for name, value in {
        "AWS_PROFILE": profile,
        "AWS_ENDPOINT_URL": endpoint_url,
        "AIRFLOW__SAGEMAKER_PIPELINES__SETTINGS_FILE": str(settings) if settings else None,
    }.items():
        if value is not None:
            os.environ[name] = value


# They are removed when the process ends.
_HOMES: list[tempfile.TemporaryDirectory[str]] = []
