"""Call stubs, each in a process in the sandbox of jobs."""

from __future__ import annotations

import json
import logging
import shutil
import threading
import uuid
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from sagemaker_local_runtime.account import Account
from sagemaker_local_runtime.exceptions import JobFailedError, SettingsError, ValidationError
from sagemaker_local_runtime.images import Image
from sagemaker_local_runtime.images.catalog import Entry, LocalImage
from sagemaker_local_runtime.jobs import JobService
from sagemaker_local_runtime.jobs.container import Container, JobFiles
from sagemaker_local_runtime.jobs.logs import LogShipper
from sagemaker_local_runtime.jobs.sandbox import JobFolder
from sagemaker_local_runtime.jobs.untrusted import read_file
from sagemaker_local_runtime.services.storage import Storage
from sagemaker_local_runtime.stubs.declaration import Stub

LOG_GROUP = "/local-runtime/stubs"
_WORK = "/opt/ml/stub"
_PLAN, _OUTPUTS, _ERROR = f"{_WORK}/plan.json", f"{_WORK}/outputs.json", f"{_WORK}/error"
_BOOTSTRAP = Path(__file__).with_name("bootstrap.py")
_LARGEST_OUTPUTS = 1 << 20
_STOP_CHECK_SECONDS = 0.1
# The local runtime's own environment.
_IMAGE = LocalImage("stub", Image("stub", "latest"), Entry(repository="stub"))
_log = logging.getLogger(__name__)


class StubService:
    """Keep the stubs that are declared, and call them.

    :param account: its settings declare stubs, and its data directory has the folders of their processes.
    :param storage: what containers need.
    :param jobs: whose sandbox and packages the processes have.
    :param possible: the types of steps that are not executed.
    :raises SettingsError: a declaration in the settings is not valid.
    """

    def __init__(
        self, account: Account, storage: Storage, jobs: JobService, possible: Collection[str]
    ) -> None:
        self._storage, self._jobs, self._possible = storage, jobs, possible
        self._shipper = LogShipper(account)
        self._folder = account.settings.data_dir.resolve() / "jobs" / "stub"
        self._stubs: dict[str, Stub] = {}
        for kind, text in account.settings.stubs.items():
            self.add(kind, Stub.read(text, Path.cwd(), f"The stub of {kind} steps"))

    @property
    def types(self) -> Collection[str]:
        """The types of steps that have a stub."""
        return self._stubs.keys()

    def add(self, kind: str, stub: Stub) -> None:
        """Declare the stub of a type of step.

        :raises SettingsError: steps of this type are executed, or the type does not exist.
        """
        if kind not in self._possible:
            raise SettingsError(
                f"A stub is declared for steps of type {kind!r}. Stubs stand in for what is not executed: "
                f"{', '.join(sorted(self._possible))}."
            )
        self._stubs[kind] = stub

    def name(self, kind: str) -> str:
        """Return the file and the function of a type's stub.

        :raises ValidationError: none is declared any more.
        """
        if kind not in self._stubs:
            raise ValidationError(f"No stub is declared for steps of type {kind}. Declare it, and retry.")
        return str(self._stubs[kind])

    def call(self, step: Mapping[str, Any], execution_arn: str, stop: threading.Event) -> dict[str, Any]:
        """Return the outputs that the stub gives for a step.

        :param step: the step with resolved expressions.
        :param execution_arn: the execution.
        :param stop: ends the process early when it is set.
        :raises JobFailedError: the stub failed.
        :raises JobStoppedError: it was stopped.
        """
        stub, name = self._stubs[step["Type"]], str(step["Name"])
        identifier = uuid.uuid4().hex
        folder = JobFolder(self._folder / identifier)
        folder.path.mkdir(parents=True)
        stream = f"{execution_arn.rpartition('/')[2]}/{name}/{identifier[:8]}"
        log = self._shipper.open(LOG_GROUP, stream, folder.log)
        container = Container(self._storage, JobFiles(folder, self._jobs.sandbox, log), self._jobs.packages)
        note = f"Step {name} is not executed: the stub {stub} gives the outputs of {step['Type']} steps."
        _log.warning("%s (%s)", note, execution_arn)
        log.add_line(note)
        ended = threading.Event()
        watch = threading.Thread(
            target=_interrupt, args=(container, stop, ended), name=f"stub-{name}", daemon=True
        )
        watch.start()
        try:
            plan = {
                "file": str(stub.file),
                "function": stub.function,
                # As JSON text without a slash, in which no path is rewritten.
                "step": json.dumps({**step, "PipelineExecutionArn": execution_arn}).replace("/", r"\/"),
                "outputs_file": _OUTPUTS,
                "error_file": _ERROR,
            }
            return _outputs(container, plan)
        finally:
            ended.set()
            watch.join()
            log.close()
            container.interrupt.close()
            shutil.rmtree(folder.path, ignore_errors=True)

    def recover(self) -> None:
        """Remove what an earlier runtime left."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def shutdown(self) -> None:
        """Stop sending logs; the executions stop their own steps."""
        self._shipper.close()


def _interrupt(container: Container, stop: threading.Event, ended: threading.Event) -> None:
    while not ended.wait(_STOP_CHECK_SECONDS):
        if stop.is_set():
            container.interrupt.set()
            return


def _outputs(container: Container, plan: Mapping[str, Any]) -> dict[str, Any]:
    """Run the process, and read what it wrote, which may be anything."""
    container.packages.use(_IMAGE)
    container.write_config(_PLAN, plan)
    ended = container.execute(["python3", "-B", str(_BOOTSTRAP), _PLAN], {})
    if ended.exit_code != 0:
        reason = container.read_message(_ERROR) or f"its process ended with exit code {ended.exit_code}"
        raise JobFailedError(reason)
    content = read_file(container.produced(_OUTPUTS), _LARGEST_OUTPUTS + 1)
    if content is None:
        raise JobFailedError("its process ended before the function returned")
    try:
        outputs = json.loads(content) if len(content) <= _LARGEST_OUTPUTS else None
    except (ValueError, RecursionError):
        outputs = None
    if not isinstance(outputs, dict):
        raise JobFailedError(f"its outputs are not a JSON object of at most {_LARGEST_OUTPUTS} bytes")
    return outputs
