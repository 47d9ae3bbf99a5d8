"""One running local runtime: what its parts share."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from local_runtime.faults import FaultPlan
from local_runtime.settings import Settings
from local_runtime.store import Store

if TYPE_CHECKING:
    from local_runtime.engine.execution import ExecutionService
    from local_runtime.jobs import JobService
    from local_runtime.services.events import EventPublisher
    from local_runtime.services.models import ModelRegistry
    from local_runtime.services.schedule_clock import ScheduleClock
    from local_runtime.services.storage import Storage


class Runtime:
    """The settings, the store, and the services that act on them.

    ``server.py`` builds it and sets the services; everything else receives it.

    :param settings: what it was started with.
    :param endpoint_url: its own address, for the clients of jobs and services.
    """

    jobs: JobService
    models: ModelRegistry
    executions: ExecutionService
    events: EventPublisher
    schedules: ScheduleClock
    storage: Storage

    def __init__(self, settings: Settings, endpoint_url: str) -> None:
        self.settings = settings
        self.endpoint_url = endpoint_url
        self.faults = FaultPlan()
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
        """Return a boto3 client of this endpoint; one per service, made on first use."""
        with self._clients_lock:
            if service not in self._clients:
                self._clients[service] = boto3.client(
                    service,
                    region_name=self.settings.region,
                    endpoint_url=self.endpoint_url,
                    aws_access_key_id="local",
                    aws_secret_access_key="local",  # noqa: S106 - any key is accepted on loopback
                    config=Config(
                        retries={"total_max_attempts": 3},
                        max_pool_connections=64,
                        s3={"addressing_style": "path"},
                    ),
                )
            return self._clients[service]
