"""A running local runtime for tests: ``pytest_plugins = ["sagemaker_local_runtime.testing"]``.

::

    def test_the_pipeline_registers_a_model(local_runtime):
        uri = local_runtime.put("data/train.csv", b"1,2")
        execution = local_runtime.execute(definition, {"InputData": uri})
        assert execution["PipelineExecutionStatus"] == "Succeeded"
        assert local_runtime.client("sagemaker").list_model_packages()
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sagemaker_local_runtime.exceptions import LocalRuntimeError
from sagemaker_local_runtime.images.catalog import read_entry
from sagemaker_local_runtime.settings import Settings
from sagemaker_local_runtime.stubs.declaration import Stub, StubFunction
from sagemaker_local_runtime.testing_client import Endpoint

if TYPE_CHECKING:
    from sagemaker_local_runtime.runtime import Runtime


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

    def stub(self, kind: str, function: StubFunction) -> None:
        """Let a function give the outputs of the steps of a type that is not executed, such as ``"EMR"``.

        :param function: takes the step and returns its outputs, in a process of its own.
        :raises SettingsError: the type is executed, or the function is not at the top level of a file.
        """
        self.runtime.stubs.add(kind, Stub.of(function, f"stub({kind!r})"))

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
        options += ["--region", self.settings.region, "--account-id", self.settings.account_id]
        options += ["--max-concurrent-executions", str(self.settings.max_concurrent_executions)]
        if self.settings.images:
            options += ["--images", str(self.settings.images)]
        options += [f"--stub={kind}={text}" for kind, text in self.settings.stubs.items()]
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
