"""A client's view of a running local runtime, for tests and tools."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from sagemaker_local_runtime.account import new_client
from sagemaker_local_runtime.client_environment import client_environment
from sagemaker_local_runtime.python_path import sagemaker_local_endpoint
from sagemaker_local_runtime.settings import Settings
from sagemaker_local_runtime.target import Target, create_bucket
from sagemaker_pipelines.aws.upsert import upsert_pipeline
from sagemaker_pipelines.definition import Envelope
from sagemaker_pipelines.states import execution_phase

_POLL_SECONDS = 0.05


class Endpoint:
    """A client's view of a running local runtime.

    :param endpoint_url: where it listens.
    :param settings: its settings.
    """

    def __init__(self, endpoint_url: str, settings: Settings) -> None:
        self.endpoint_url = endpoint_url
        self.settings = settings
        self.bucket = settings.bucket
        self.role_arn = settings.role_arn
        self._clients: dict[str, Any] = {}
        # The variables reach the SDK in this process without PYTHONPATH.
        sagemaker_local_endpoint.install()

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that point AWS clients, and the SageMaker SDK, at this endpoint."""
        return client_environment(self.endpoint_url, self.settings.region)

    def client(self, service: str, *, retries: int = 1) -> Any:
        """Return a boto3 client that by default does not retry.

        :param service: such as ``"sagemaker"``.
        :param retries: the total number of attempts of a request.
        """
        key = f"{service}/{retries}"
        if key not in self._clients:
            self._clients[key] = new_client(
                service,
                self.endpoint_url,
                self.settings.region,
                access_key="test",
                retries={"total_max_attempts": retries, "mode": "standard"},
            )
        return self._clients[key]

    def _create_bucket(self) -> None:
        create_bucket(self.client("s3"), self.bucket, self.settings.region)

    def put(self, key: str, body: bytes) -> str:
        """Put an object into the bucket and return its URI."""
        self.client("s3").put_object(Bucket=self.bucket, Key=key, Body=body)
        return f"s3://{self.bucket}/{key}"

    def get(self, uri: str) -> bytes:
        """Return the object at a URI."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        body: bytes = self.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
        return body

    def create_pipeline(self, definition: Mapping[str, Any], name: str | None = None) -> str:
        """Create a pipeline and return its name; by default a new name is made."""
        name = name or f"pipeline-{uuid.uuid4().hex[:8]}"
        self.client("sagemaker").create_pipeline(
            PipelineName=name,
            PipelineDefinition=json.dumps(definition),
            RoleArn=self.role_arn,
            ClientRequestToken=uuid.uuid4().hex,
        )
        return name

    def deploy(self, definition: Path) -> str:
        """Create or update the pipeline of a definition's file, with its code, and return its name.

        :param definition: a compiled definition, or a plain one.
        :raises DefinitionError: it cannot be read or used.
        """
        target = Target.of(self.endpoint_url, self.settings)
        envelope = Envelope.load(definition)
        upsert_pipeline(target.sagemaker, envelope)
        return envelope.pipeline_name(target.name_prefix)

    def start(self, name: str, parameters: Mapping[str, str] | None = None) -> str:
        """Start an execution and return its ARN."""
        values = [{"Name": key, "Value": value} for key, value in (parameters or {}).items()]
        started = self.client("sagemaker").start_pipeline_execution(
            PipelineName=name, PipelineParameters=values, ClientRequestToken=uuid.uuid4().hex
        )
        arn: str = started["PipelineExecutionArn"]
        return arn

    def wait(self, arn: str, *, timeout: float = 600.0) -> dict[str, Any]:
        """Wait until an execution has ended and return its description.

        :raises TimeoutError: it has not ended in time.
        """
        sagemaker, deadline = self.client("sagemaker"), time.monotonic() + timeout
        while time.monotonic() < deadline:
            execution: dict[str, Any] = sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
            if execution_phase(execution["PipelineExecutionStatus"]).is_terminal:
                return execution
            time.sleep(_POLL_SECONDS)
        raise TimeoutError(f"{arn} has not ended after {timeout:.0f} s: {self.steps(arn)}")

    def execute(
        self, definition: Mapping[str, Any] | Path, parameters: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Create a pipeline, execute it, wait for its end and return the execution's description.

        :param definition: the definition, or the path of its file, see :meth:`deploy`.
        :param parameters: values by name.
        """
        name = self.deploy(definition) if isinstance(definition, Path) else self.create_pipeline(definition)
        return self.wait(self.start(name, parameters))

    def steps(self, arn: str) -> dict[str, dict[str, Any]]:
        """Return the steps of an execution by name."""
        pages = self.client("sagemaker").get_paginator("list_pipeline_execution_steps")
        found = (
            step
            for page in pages.paginate(PipelineExecutionArn=arn)
            for step in page["PipelineExecutionSteps"]
        )
        return {step["StepName"]: step for step in found}

    def add_fault(self, action: str, kind: str, **fields: Any) -> None:
        """Add a fault rule (``sagemaker_local_runtime/faults.py`` describes the fields)."""
        self._control("POST", "faults", {"action": action, "kind": kind, **fields})

    def clear_faults(self) -> None:
        """Remove every fault rule."""
        self._control("DELETE", "faults")

    def calls(self) -> dict[str, int]:
        """Return how often each action was called, by its name in IAM policies."""
        counts: dict[str, int] = self._control("GET", "calls")["counts"]
        return counts

    def forget_tokens(self) -> None:
        """Make the endpoint forget every ClientRequestToken."""
        self._control("DELETE", "tokens")

    def move_clock(self, seconds: float) -> list[str]:
        """Advance the clock of schedules and return the ARNs of the rules and schedules that fired."""
        fired: list[str] = self._control("POST", "clock", {"seconds": seconds})["fired"]
        return fired

    def _control(self, method: str, resource: str, document: Any = None) -> Any:
        body = None if document is None else json.dumps(document).encode()
        request = Request(f"{self.endpoint_url}/_local_runtime/{resource}", data=body, method=method)  # noqa: S310
        with urlopen(request, timeout=30) as response:  # noqa: S310 - our own loopback address
            return json.load(response)

    def close(self) -> None:
        """Close the clients' connections."""
        for client in self._clients.values():
            client.close()
        self._clients.clear()
