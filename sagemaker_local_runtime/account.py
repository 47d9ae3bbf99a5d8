"""The AWS account that a local runtime stands in for: its settings, store, clients and ARNs."""

from __future__ import annotations

import threading
from typing import Any

import boto3
from botocore.config import Config

from sagemaker_local_runtime.settings import Settings
from sagemaker_local_runtime.store import Store


class Account:
    """What every service of one local runtime works with.

    :param settings: what the local runtime was started with.
    :param endpoint_url: its own address, for the clients of its services and jobs.
    """

    def __init__(self, settings: Settings, endpoint_url: str) -> None:
        self.settings = settings
        self.endpoint_url = endpoint_url
        self.store = Store(settings.data_dir / "runtime.sqlite3")
        self._clients: dict[str, Any] = {}
        self._clients_lock = threading.Lock()

    def close(self) -> None:
        """Close the clients' connections and the store."""
        with self._clients_lock:
            for client in self._clients.values():
                client.close()
            self._clients.clear()
        self.store.close()

    def arn(self, resource: str) -> str:
        """Return a SageMaker ARN: ``arn("pipeline/abalone")``."""
        return f"arn:aws:sagemaker:{self.settings.region}:{self.settings.account_id}:{resource}"

    def client(self, service: str) -> Any:
        """Return a boto3 client of this endpoint; there is one per service, made on first use."""
        with self._clients_lock:
            if service not in self._clients:
                self._clients[service] = new_client(
                    service,
                    self.endpoint_url,
                    self.settings.region,
                    retries={"total_max_attempts": 3},
                    max_pool_connections=64,
                )
            return self._clients[service]


def new_client(
    service: str, endpoint_url: str, region: str, *, access_key: str = "local", **config: Any
) -> Any:
    """Return a boto3 client of a local runtime.

    :param service: such as ``"sagemaker"``.
    :param endpoint_url: where the local runtime listens.
    :param region: the region of its requests.
    :param access_key: the access key and the secret key, which may be anything.
    :param config: settings of ``botocore.config.Config``.
    """
    return boto3.client(
        service,
        region_name=region,
        endpoint_url=endpoint_url,
        aws_access_key_id=access_key,
        aws_secret_access_key=access_key,
        config=Config(s3={"addressing_style": "path"}, **config),
    )
