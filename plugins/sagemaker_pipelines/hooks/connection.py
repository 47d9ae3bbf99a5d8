"""Read an Airflow connection, and never mistake a failed read for a connection that does not exist."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
from airflow.providers.common.compat.sdk import AirflowNotFoundException

from sagemaker_pipelines.airflow_internals import connection_is_missing

if TYPE_CHECKING:
    from airflow.sdk import Connection

# Short enough for a kill, which still has to stop an execution afterwards.
ASK_SECONDS = 4.0
ASK_AGAIN_SECONDS = 0.5


class AirflowConnectionError(ConnectionError):
    """An Airflow connection could not be read, or does not exist; AWS was not called.

    It is not a SageMakerPipelinesError, which tasks treat as final, because a retry may find the connection.

    :param conn_id: the connection's id.
    :param reason: why it could not be read; None if it does not exist.
    """

    def __init__(self, conn_id: str, reason: str | None = None) -> None:
        super().__init__(conn_id, reason)
        self.conn_id = conn_id
        self.reason = reason

    def __str__(self) -> str:
        if self.reason is None:
            return (
                f"The Airflow connection {self.conn_id!r} does not exist. AWS was not called, because "
                "boto3's own credentials may be those of another account. Create the connection, or use "
                "boto3's own credentials with aws_conn_id=None."
            )
        return (
            f"The Airflow connection {self.conn_id!r} could not be read: {self.reason}. AWS was not called, "
            "because boto3's own credentials may be those of another account. Expected an answer from "
            "Airflow's API server and from each secrets backend; check their logs."
        )


class CheckedConnectionMixin:
    """Let an AWS hook call AWS only with its own connection; mixed in before the hook's class.

    Airflow reports a connection that it could not read as one that does not exist. The provider then uses
    boto3's own credentials, region and endpoint, which may be those of another account.
    """

    @classmethod
    def get_connection(cls, conn_id: str) -> Connection:
        """Return the connection; retry for some seconds while Airflow does not answer.

        :param conn_id: the connection's id.
        :raises AirflowNotFoundException: it is the default connection, and it does not exist. The provider
            then uses boto3's own credentials, as expected in environments without an Airflow connection.
        :raises AirflowConnectionError: it could not be read, or it is not the default one and does not exist.
        """
        deadline = time.monotonic() + ASK_SECONDS
        while True:
            try:
                connection: Connection = super().get_connection(conn_id)  # type: ignore[misc] # the hook's
            except AirflowNotFoundException:
                reason = _failure(conn_id)
                if reason is None:
                    if conn_id == AwsBaseHook.default_conn_name:
                        raise
                    raise AirflowConnectionError(conn_id) from None
                if time.monotonic() >= deadline:
                    raise AirflowConnectionError(conn_id, reason) from None
                time.sleep(ASK_AGAIN_SECONDS)
            else:
                return connection


def _failure(conn_id: str) -> str | None:
    """Return why it is not known whether a connection exists; None if it certainly does not exist."""
    try:
        return None if connection_is_missing(conn_id) else "the first answer said that it does not exist"
    except Exception as error:
        # Whatever it is, it is the reason.
        return f"{type(error).__name__}: {error}"
