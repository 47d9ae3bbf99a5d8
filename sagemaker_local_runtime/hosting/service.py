"""Create, update, invoke and delete endpoints.

https://docs.aws.amazon.com/sagemaker/latest/dg/realtime-endpoints.html
"""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from sagemaker_local_runtime.account import Account
from sagemaker_local_runtime.exceptions import AwsError, ValidationError
from sagemaker_local_runtime.hosting.configs import EndpointConfigs
from sagemaker_local_runtime.hosting.deployment import Deployment, DeploymentFactory, described_variants
from sagemaker_local_runtime.hosting.exceptions import NotHealthyError
from sagemaker_local_runtime.images.handler import Response
from sagemaker_local_runtime.jobs import JobService
from sagemaker_local_runtime.services.models import ModelRegistry
from sagemaker_local_runtime.services.storage import Storage
from sagemaker_local_runtime.services.tags import delete_tags, put_tags
from sagemaker_local_runtime.store import Document, public

# Inside the class, "list" is the method.
Documents = list[Document]
_KIND, _STATUS = "endpoint", "EndpointStatus"
_IN_PROGRESS = frozenset({"Creating", "Updating", "SystemUpdating", "Deleting"})
_STOP_CHECK_SECONDS = 0.1
_INTERRUPTED = "The local runtime ended during the update; the endpoint serves its previous configuration."
_log = logging.getLogger(__name__)


class EndpointService:
    """Keep endpoints in the store, and serve each by processes.

    :param account: its store keeps them.
    :param storage: reads their models.
    :param models: the models.
    :param jobs: whose sandbox, images and packages the processes have.
    """

    def __init__(self, account: Account, storage: Storage, models: ModelRegistry, jobs: JobService) -> None:
        self._account, self._store = account, account.store
        self.configs = EndpointConfigs(account, models, jobs.images)
        self._factory = DeploymentFactory(account, storage, jobs)
        self._serving: dict[str, Deployment] = {}
        self._started: set[Deployment] = set()
        self._changed = threading.Condition(threading.RLock())
        self._closing = False

    def create(self, request: Mapping[str, Any]) -> str:
        """Create an endpoint and return its ARN immediately.

        :raises AwsError: the name is taken, or the configuration does not exist or cannot be served.
        """
        name, config = str(request["EndpointName"]), self._config(request)
        arn, now = self._arn(name), time.time()
        document = {
            "EndpointName": name,
            "EndpointArn": arn,
            "EndpointConfigName": config["EndpointConfigName"],
            _STATUS: "Creating",
            "CreationTime": now,
            "LastModifiedTime": now,
            "_config": config,
        }
        with self._changed:
            with self._store.transaction():
                # "The name is case-insensitive in CreateEndpoint": the API reference of CreateEndpoint.
                taken = any(other["EndpointArn"] == arn for other in self._store.list(_KIND))
                if taken or not self._store.insert(_KIND, name, document):
                    raise ValidationError(f'Cannot create already existing endpoint "{arn}".')
                put_tags(self._store, arn, request.get("Tags") or [])
            self._deploy(name, config)
        return arn

    def deploy(self, request: Mapping[str, Any]) -> str:
        """Create an endpoint, or update it if it exists, and return its ARN immediately.

        :raises AwsError: as :meth:`create` and :meth:`update`.
        """
        with self._changed:
            document = self._store.get(_KIND, str(request["EndpointName"]))
            if document is None:
                return self.create(request)
            if _in_deployment(document) == request["EndpointConfigName"]:
                # An earlier attempt of the step has begun this, and a stop has ended only its wait.
                return str(document["EndpointArn"])
            return self.update(request)

    def update(self, request: Mapping[str, Any]) -> str:
        """Serve another configuration; until it is ready, the endpoint serves the one before.

        :return: the endpoint's ARN.
        :raises AwsError: the endpoint does not exist or is not in service, or the configuration does not
            exist or cannot be served.
        """
        name, config = str(request["EndpointName"]), self._config(request)
        with self._changed:
            document = self._not_in_progress(name)
            if document[_STATUS] != "InService":
                raise ValidationError(
                    f'The endpoint "{document["EndpointArn"]}" is in status {document[_STATUS]}, in which it '
                    "can only be deleted."
                )
            pending = {
                "EndpointConfigName": config["EndpointConfigName"],
                "ProductionVariants": described_variants(config),
                "StartTime": time.time(),
            }
            self._update(name, "Updating", PendingDeploymentSummary=pending, FailureReason=None)
            self._deploy(name, config)
        return str(document["EndpointArn"])

    def describe(self, name: str) -> Document:
        """Return AWS's Describe answer.

        :raises ValidationError: the endpoint does not exist.
        """
        document = self._get(name)
        return {**public(document), "ProductionVariants": described_variants(document["_config"])}

    def list(self) -> Documents:
        """Return every endpoint, oldest first."""
        return self._store.list(_KIND)

    def delete(self, name: str) -> None:
        """Delete an endpoint; its processes end, and its configuration and models stay.

        :raises ValidationError: it does not exist, or is being created, updated or deleted.
        """
        with self._changed:
            self._not_in_progress(name)
            self._update(name, "Deleting")
        threading.Thread(target=self._delete, args=(name,), name=f"delete-{name}", daemon=True).start()

    def invoke(
        self,
        name: str,
        body: bytes,
        *,
        content_type: str | None = None,
        accept: str | None = None,
        variant: str | None = None,
    ) -> tuple[str, Response]:
        """Return the variant that answered a request, and its answer.

        :param name: the endpoint.
        :param body: the payload.
        :param content_type: what the payload is.
        :param accept: what the answer should be.
        :param variant: the production variant; None chooses one by the weights.
        :raises AwsError: the endpoint is not in service, or its model failed.
        """
        with ExitStack() as request:
            with self._changed:
                deployment = self._serving.get(name)
                if deployment is None:
                    # As in https://github.com/aws/amazon-sagemaker-examples/issues/293.
                    account = self._account.settings.account_id
                    raise ValidationError(f"Endpoint {name} of account {account} not found.")
                request.enter_context(deployment)
            return deployment.invoke(body, content_type, accept, variant)

    def wait(self, name: str, stop_event: threading.Event) -> Document:
        """Wait until an endpoint is no longer being changed, and return its Describe answer.

        :param stop_event: ends the wait early; the endpoint is not affected.
        """
        with self._changed:
            while not stop_event.is_set() and self._get(name)[_STATUS] in _IN_PROGRESS:
                self._changed.wait(_STOP_CHECK_SECONDS)
        return self.describe(name)

    def recover(self) -> None:
        """Bring back what an earlier runtime served; what cannot be served again is Failed."""
        shutil.rmtree(self._factory.folder, ignore_errors=True)
        for document in self._store.list(_KIND):
            name, status = document["EndpointName"], document[_STATUS]
            if status == "Deleting":
                self._delete(name)
            elif status != "Failed":
                self._update(
                    name,
                    "Creating" if status == "Creating" else "SystemUpdating",
                    PendingDeploymentSummary=None,
                    FailureReason=_INTERRUPTED if status == "Updating" else document.get("FailureReason"),
                )
                self._deploy(name, document["_config"])

    def shutdown(self) -> None:
        """End every process; the next runtime brings the endpoints back."""
        with self._changed:
            self._closing = True
            deployments = [*self._started]
        for deployment in deployments:
            deployment.stop()
        self._factory.close()

    def _deploy(self, name: str, config: Document) -> None:
        """Start a configuration in the background."""
        if self._closing:
            raise AwsError("The local runtime is shutting down.", code="ServiceUnavailable", status=503)
        threading.Thread(
            target=self._replace, args=(name, config), name=f"deploy-{name}", daemon=True
        ).start()

    def _replace(self, name: str, config: Document) -> None:
        """Serve a configuration once it is healthy; no exception may escape."""
        deployment, reason = None, None
        try:
            with self._changed:
                if self._closing:
                    return
                deployment = self._factory.start(name, config)
                self._started.add(deployment)
            deployment.wait_until_healthy()
        except (NotHealthyError, AwsError, OSError) as error:
            reason = str(error)
        if self._closing:
            return
        try:
            self._store.persist(lambda: self._end_deployment(name, deployment, reason))
        except Exception:
            _log.exception("Recording the deployment of endpoint %s failed", name)

    def _end_deployment(self, name: str, deployment: Deployment | None, reason: str | None) -> None:
        with self._changed:
            replaced = deployment
            if deployment is not None and reason is None:
                changes: dict[str, Any] = {
                    "EndpointConfigName": deployment.config["EndpointConfigName"],
                    "_config": deployment.config,
                }
                self._update(name, "InService", PendingDeploymentSummary=None, **changes)
                replaced, self._serving[name] = self._serving.get(name), deployment
            else:
                # An update that fails is rolled back: the endpoint still serves what it did.
                status = "InService" if name in self._serving else "Failed"
                self._update(name, status, PendingDeploymentSummary=None, FailureReason=reason)
            self._changed.notify_all()
        if replaced is not None:
            replaced.drain()
            self._stop(replaced)

    def _stop(self, deployment: Deployment) -> None:
        deployment.stop()
        with self._changed:
            self._started.discard(deployment)

    def _delete(self, name: str) -> None:
        with self._changed:
            deployment = self._serving.pop(name, None)
        if deployment is not None:
            self._stop(deployment)
        self._store.persist(lambda: self._forget(name))

    def _forget(self, name: str) -> None:
        with self._store.transaction():
            self._store.delete(_KIND, name)
            delete_tags(self._store, self._arn(name))

    def _update(self, name: str, status: str, **changes: Any) -> None:
        self._store.update(_KIND, name, LastModifiedTime=time.time(), **{_STATUS: status}, **changes)

    def _config(self, request: Mapping[str, Any]) -> Document:
        """Return a configuration as it is now, since it and its models may be deleted later."""
        config = self.configs.describe(request["EndpointConfigName"])
        return {**config, "_containers": self.configs.containers(config)}

    def _arn(self, name: str) -> str:
        return self._account.arn(f"{_KIND}/{name.lower()}")

    def _get(self, name: str) -> Document:
        document = self._store.get(_KIND, name)
        if document is None:
            raise ValidationError(f'Could not find endpoint "{self._arn(name)}".')
        return document

    def _not_in_progress(self, name: str) -> Document:
        document = self._get(name)
        if document[_STATUS] in _IN_PROGRESS:
            raise ValidationError(f'Cannot update in-progress endpoint "{document["EndpointArn"]}".')
        return document


def _in_deployment(document: Document) -> str | None:
    """Return the name of the configuration that an endpoint is about to serve, or None."""
    if document[_STATUS] == "Creating":
        return str(document["EndpointConfigName"])
    pending = document.get("PendingDeploymentSummary") or {}
    return pending.get("EndpointConfigName")
