"""What serves one endpoint configuration: the containers of its production variants."""

from __future__ import annotations

import random
import secrets
import shutil
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from sagemaker_local_runtime.account import Account
from sagemaker_local_runtime.exceptions import ValidationError
from sagemaker_local_runtime.hosting.exceptions import NotHealthyError
from sagemaker_local_runtime.hosting.server import ANSWER_SECONDS, ModelServer
from sagemaker_local_runtime.images.catalog import LocalImage
from sagemaker_local_runtime.images.handler import Response
from sagemaker_local_runtime.jobs import JobService
from sagemaker_local_runtime.jobs.container import Container, JobFiles
from sagemaker_local_runtime.jobs.logs import LogShipper
from sagemaker_local_runtime.jobs.sandbox import JobFolder
from sagemaker_local_runtime.services.storage import Storage
from sagemaker_local_runtime.store import Document

# AWS's own default is not confirmed; ContainerStartupHealthCheckTimeoutInSeconds of a variant replaces it.
_START_SECONDS = 480
_END_SECONDS = 10.0


class DeploymentFactory:
    """Start what serves an endpoint configuration.

    :param account: where endpoints are, and the data directory.
    :param storage: reads the models.
    :param jobs: whose sandbox, images and packages containers have.
    """

    def __init__(self, account: Account, storage: Storage, jobs: JobService) -> None:
        self._storage, self._jobs = storage, jobs
        self._shipper = LogShipper(account)
        self.folder = account.settings.data_dir.resolve() / "jobs" / "endpoint"

    def start(self, endpoint: str, config: Document) -> Deployment:
        """Start the containers of a configuration, and return them before they are healthy.

        :param endpoint: the name of the endpoint.
        :param config: the configuration, with the containers of each variant under ``_containers``.
        :raises AwsError: nothing stands in for an image any more.
        :raises OSError: a container cannot be started; none is left.
        """
        variants = {
            name: [(self._jobs.images.find(container["Image"]), container) for container in containers]
            for name, containers in config["_containers"].items()
        }
        with ExitStack() as undo:
            servers: dict[str, list[ModelServer]] = {name: [] for name in variants}
            for name, containers in variants.items():
                for number, (image, definition) in enumerate(containers, 1):
                    server = self._server(endpoint, name, number, image, definition)
                    undo.callback(server.stop)
                    servers[name].append(server)
            undo.pop_all()
        return Deployment(config, servers)

    def close(self) -> None:
        """Stop sending logs."""
        self._shipper.close()

    def _server(
        self, endpoint: str, variant: str, number: int, image: LocalImage, definition: Document
    ) -> ModelServer:
        instance = f"i-{secrets.token_hex(8)}a"
        folder = JobFolder(self.folder / f"{endpoint}-{instance}")
        folder.path.mkdir(parents=True)
        # As AWS names it: https://docs.aws.amazon.com/sagemaker/latest/dg/logging-cloudwatch.html
        stream = f"{variant}/{instance}" + (f"/container-{number}" if number > 1 else "")
        try:
            log = self._shipper.open(f"/aws/sagemaker/Endpoints/{endpoint}", stream, folder.log)
        except OSError:
            shutil.rmtree(folder.path, ignore_errors=True)
            raise
        container = Container(self._storage, JobFiles(folder, self._jobs.sandbox, log), self._jobs.packages)
        server = ModelServer(container, image, definition)
        server.start()
        return server


class Deployment:
    """The containers that serve one endpoint configuration.

    :param config: the configuration.
    :param servers: the containers of each variant, in the order in which a request passes them.
    """

    def __init__(self, config: Document, servers: Mapping[str, list[ModelServer]]) -> None:
        self.config, self._servers = config, servers
        self._requests = 0
        self._answered = threading.Condition()

    def __enter__(self) -> Deployment:
        """Begin a request; :meth:`drain` waits for its end."""
        with self._answered:
            self._requests += 1
        return self

    def __exit__(self, *_: object) -> None:
        with self._answered:
            self._requests -= 1
            self._answered.notify_all()

    def wait_until_healthy(self) -> None:
        """Wait until every container has loaded its model.

        :raises NotHealthyError: one has not; the message is the endpoint's FailureReason.
        """
        began = time.monotonic()
        for variant in self.config["ProductionVariants"]:
            name = variant["VariantName"]
            seconds = variant.get("ContainerStartupHealthCheckTimeoutInSeconds", _START_SECONDS)
            for number, server in enumerate(self._servers[name], 1):
                try:
                    server.wait_until_healthy(began + seconds)
                except NotHealthyError as error:
                    which = "primary container" if number == 1 else f"container_{number} container"
                    # The cause is ours, the text before it is that of
                    # https://github.com/aws/sagemaker-tensorflow-training-toolkit/issues/347.
                    raise NotHealthyError(
                        f"The {which} for production variant {name} did not pass the ping health check. "
                        f"Please check CloudWatch logs for this endpoint. The cause: {error}"
                    ) from error

    def invoke(
        self, body: bytes, content_type: str | None, accept: str | None, variant: str | None
    ) -> tuple[str, Response]:
        """Return the variant that a request was sent to, and its answer.

        :param variant: the variant; None chooses one by the weights.
        :raises AwsError: the variant does not exist, or its model failed.
        """
        name = variant or self._chosen()
        if name not in self._servers:
            known = ", ".join(sorted(self._servers))
            raise ValidationError(f"Variant {name} not found; the endpoint has {known}.")
        *first, last = self._servers[name]
        for server in first:
            response = server.ask(body, content_type, None)
            body, content_type = response.body, response.content_type
        return name, last.ask(body, content_type, accept)

    def drain(self) -> None:
        """Wait until the requests that have begun are answered, at most as long as one may take."""
        with self._answered:
            self._answered.wait_for(lambda: not self._requests, ANSWER_SECONDS)

    def stop(self) -> None:
        """End the containers and wait for them."""
        servers = [server for servers in self._servers.values() for server in servers]
        for server in servers:
            server.stop()
        deadline = time.monotonic() + _END_SECONDS
        for server in servers:
            server.join(max(0.0, deadline - time.monotonic()))

    def _chosen(self) -> str:
        variants = self.config["ProductionVariants"]
        weights = [_weight(variant) for variant in variants]
        if not any(weights):
            weights = [1.0 for _ in variants]
        name: str = random.choices(variants, weights)[0]["VariantName"]  # noqa: S311 - traffic, not secrets
        return name


def described_variants(config: Document) -> list[Document]:
    """Return the ProductionVariants of a Describe answer."""
    return [
        _variant(variant, config["_containers"][variant["VariantName"]])
        for variant in config["ProductionVariants"]
    ]


def _variant(variant: Mapping[str, Any], containers: list[Document]) -> Document:
    count = variant.get("InitialInstanceCount", 1)
    images = [
        {"SpecifiedImage": container["Image"], "ResolvedImage": container["Image"]}
        for container in containers
    ]
    serverless = variant.get("ServerlessConfig")
    return {
        "VariantName": variant["VariantName"],
        "DeployedImages": images,
        "CurrentWeight": _weight(variant),
        "DesiredWeight": _weight(variant),
        **(
            {"CurrentServerlessConfig": serverless}
            if serverless
            else {"CurrentInstanceCount": count, "DesiredInstanceCount": count}
        ),
    }


def _weight(variant: Mapping[str, Any]) -> float:
    return float(variant.get("InitialVariantWeight", 1.0))
