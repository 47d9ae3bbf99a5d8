"""A running local runtime for tests: ``pytest_plugins = ["sagemaker_local_runtime.testing"]``.

::

    def test_the_pipeline_registers_a_model(local_runtime):
        uri = local_runtime.put("data/train.csv", b"1,2")
        execution = local_runtime.execute(definition, {"InputData": uri})
        assert execution["PipelineExecutionStatus"] == "Succeeded"
        assert local_runtime.client("sagemaker").list_model_packages()
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

import pytest

from sagemaker_local_runtime.account import new_client
from sagemaker_local_runtime.client_environment import client_environment
from sagemaker_local_runtime.exceptions import LocalRuntimeError
from sagemaker_local_runtime.images.catalog import read_entry
from sagemaker_local_runtime.python_path import sagemaker_local_endpoint
from sagemaker_local_runtime.settings import Settings
from sagemaker_local_runtime.target import create_bucket
from sagemaker_pipelines.states import execution_phase

if TYPE_CHECKING:
    from sagemaker_local_runtime.runtime import Runtime

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

    def start(self, name: str, parameters: Mapping[str, str] | None = None) -> str:
        """Start an execution and return its ARN."""
        values = [{"Name": key, "Value": value} for key, value in (parameters or {}).items()]
        started = self.client("sagemaker").start_pipeline_execution(
            PipelineName=name, PipelineParameters=values, ClientRequestToken=uuid.uuid4().hex
        )
        arn: str = started["PipelineExecutionArn"]
        return arn

    def wait(self, arn: str, *, timeout: float = 120.0) -> dict[str, Any]:
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
        self, definition: Mapping[str, Any], parameters: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Create a pipeline, execute it, wait for its end and return the execution's description."""
        return self.wait(self.start(self.create_pipeline(definition), parameters))

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


class LocalRuntime(Endpoint):
    """A local runtime in this process.

    :param settings: its settings.
    """

    def __init__(self, settings: Settings) -> None:
        # Imported late: this module is a pytest plugin, and moto is slow to import.
        from sagemaker_local_runtime.server import LocalServer

        self.server = LocalServer(settings).start()
        super().__init__(self.server.endpoint_url, settings)
        self._create_bucket()

    def local_image(self, name: str, **entry: Any) -> str:
        """Say what stands in for an image, and return its URI; the tag is ``latest`` if the name has none.

        :param name: its repository, such as ``"churn"`` or ``"churn:1.2"``.
        :param entry: the keys of an ``[[image]]`` entry, such as ``requirements``, ``train`` and ``serve``.
        :raises SettingsError: a key is unknown or has a wrong value.
        """
        repository, _, tag = name.partition(":")
        exact = {"repository": re.escape(repository), "tag": re.escape(tag or "latest")}
        self.runtime.jobs.images.add(read_entry({**exact, **entry}, f"local_image({name!r})", Path.cwd()))
        registry = f"{self.settings.account_id}.dkr.ecr.{self.settings.region}.amazonaws.com"
        return f"{registry}/{repository}:{tag or 'latest'}"

    @property
    def runtime(self) -> Runtime:
        """The services behind the endpoint."""
        return self.server.runtime

    def close(self) -> None:
        """Stop the server."""
        super().close()
        self.server.stop()


class RuntimeProcess(Endpoint):
    """A local runtime in its own process, which can be killed and started again.

    :param settings: its settings; the data directory outlives the process.
    """

    def __init__(self, settings: Settings) -> None:
        self._process: subprocess.Popen[str] | None = None
        super().__init__("", settings)
        self.start_process()
        self._create_bucket()

    @property
    def pid(self) -> int:
        """The process id of the server."""
        assert self._process is not None
        return self._process.pid

    def start_process(self) -> None:
        """Start the server, and wait until it listens.

        :raises LocalRuntimeError: it ended instead.
        """
        options = ["--port", str(self.settings.port), "--data-dir", str(self.settings.data_dir)]
        options += ["--max-concurrent-executions", str(self.settings.max_concurrent_executions)]
        if self.settings.images:
            options += ["--images", str(self.settings.images)]
        if self.settings.isolation:
            options += ["--isolation", self.settings.isolation]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "sagemaker_local_runtime", *options], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.startswith("Local runtime at "):
            raise LocalRuntimeError(
                f"The local runtime did not start; its first line was {line!r}. Its output has the cause."
            )
        super().close()
        self.endpoint_url = line.split()[3]

    def kill(self) -> None:
        """Kill the server with SIGKILL, as a crash would."""
        self._end(signal.SIGKILL)

    def close(self) -> None:
        """Stop the server."""
        super().close()
        self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(number)
            process.wait(timeout=30)
            if process.stdout is not None:
                process.stdout.close()


@pytest.fixture
def local_runtime(tmp_path: Path) -> Iterator[LocalRuntime]:
    """A local runtime for this test only, in this process, on a free port, with an empty bucket."""
    runtime = LocalRuntime(Settings(data_dir=tmp_path / "runtime", port=0))
    yield runtime
    runtime.close()


@pytest.fixture
def local_runtime_process(tmp_path: Path) -> Iterator[RuntimeProcess]:
    """A local runtime for this test only, in its own process, which the test may kill."""
    runtime = RuntimeProcess(Settings(data_dir=tmp_path / "runtime", port=0))
    yield runtime
    runtime.close()
