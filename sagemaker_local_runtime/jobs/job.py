"""One running job: its folder, its log and its process."""

from __future__ import annotations

import copy
import json
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sagemaker_local_runtime.account import Account
from sagemaker_local_runtime.exceptions import JobFailedError, JobStoppedError
from sagemaker_local_runtime.jobs.kinds import JobKind
from sagemaker_local_runtime.jobs.logs import JobLog
from sagemaker_local_runtime.jobs.packages import Packages
from sagemaker_local_runtime.jobs.process import Interrupt, ProcessEnd, run_process
from sagemaker_local_runtime.jobs.processes import start_time
from sagemaker_local_runtime.jobs.sandbox import JobFolder, Sandbox
from sagemaker_local_runtime.services.storage import Storage

_OUT_OF_MEMORY = (
    "ClientError: Please use an instance type with more memory, "
    "or reduce the size of job data processed on an instance."
)
_MEMORY_SIGNS = ("MemoryError", "std::bad_alloc", "Cannot allocate memory", "Unable to allocate")
_LONGEST_REASON = 1024


@dataclass(frozen=True)
class JobFiles:
    """Where a job is on this machine.

    :param folder: its files.
    :param sandbox: how its commands are isolated.
    :param log: its output.
    """

    folder: JobFolder
    sandbox: Sandbox
    log: JobLog


class Job:
    """A running job, as its program uses it.

    :param account: its store keeps the job.
    :param storage: reads its inputs and writes its outputs.
    :param kind: the kind of job.
    :param document: its Describe answer at the start, including private fields.
    :param files: its folder, its log and how its commands are isolated.
    :param packages: what gives it the environment of its image.
    """

    def __init__(
        self,
        account: Account,
        storage: Storage,
        kind: JobKind,
        document: dict[str, Any],
        files: JobFiles,
        packages: Packages,
    ) -> None:
        self.storage, self.kind, self.document = storage, kind, document
        self._store, self._settings = account.store, account.settings
        self.folder, self.sandbox, self.log = files.folder, files.sandbox, files.log
        self.name = str(document[kind.name_field])
        self.interrupt = Interrupt()
        self._packages = packages
        self.packages = packages.open(self.folder, self.sandbox, self.log.add_line, self.check_not_stopped)
        self.lock = threading.RLock()  # held while the document changes depending on its content

    @property
    def longest_seconds(self) -> int:
        """The longest that any job may run, in seconds."""
        return self._settings.job_max_runtime_seconds

    def check_not_stopped(self) -> None:
        """Raise JobStoppedError if the job was stopped; called between the stages of a job."""
        if self.interrupt.is_set():
            raise JobStoppedError

    def update(self, **changes: Any) -> None:
        """Change the job's document."""
        self.document = self._store.update(
            self.kind.resource, self.name, LastModifiedTime=time.time(), **changes
        )

    def download(self, uri: str, container_path: str, share: tuple[int, int] = (0, 1)) -> list[Path]:
        """Download an object or a prefix, or a share of it, to a container path, and return the files."""
        self.check_not_stopped()
        target = self.folder.host_path(container_path)
        target.mkdir(parents=True, exist_ok=True)
        return self.storage.download(uri, target, share)

    def write_config(self, container_path: str, content: Any) -> None:
        """Write a JSON file for the container.

        :raises JobFailedError: a program of this job put a link there that leads out of its folder.
        """
        path = self.produced(container_path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))

    def on_host(self, host: str) -> Job:
        """Return another instance of this job, with its own files, packages and log, which the caller closes.

        :param host: its name, ``"algo-2"``.
        """
        instance = copy.copy(self)
        instance.folder = JobFolder(self.folder.path / host)
        instance.folder.path.mkdir(exist_ok=True)
        instance.log = self.log.open_host(host, instance.folder.log)
        instance.packages = self._packages.open(
            instance.folder, self.sandbox, instance.log.add_line, self.check_not_stopped
        )
        return instance

    def open_log(self, suffix: str) -> JobLog:
        """Open another log stream of the job; the caller must close it."""
        return self.log.open_sibling(suffix, self.folder.path / f"{suffix}.log")

    def execute(
        self, command: Sequence[str], environment: Mapping[str, str], working_directory: str = "/"
    ) -> ProcessEnd:
        """Run a command in the sandbox to its end, writing its output to the log.

        :param command: the program and its arguments, in container paths.
        :param environment: the environment variables of the container.
        :param working_directory: where it starts; images without a WORKDIR start in ``/``.
        :raises JobStoppedError: the job was stopped or ran out of time.
        :raises JobFailedError: the command could not be started.
        """
        self.check_not_stopped()
        self.sandbox.adapt(self.folder, self.folder.ml)
        arguments = self.sandbox.prepare(
            self.folder, command, environment, working_directory, self.packages.programs
        )
        ended = run_process(
            arguments,
            on_start=self._record_process,
            on_output=self.log.write,
            interrupt=self.interrupt,
            timeout=self._seconds_allowed(),
        )
        if ended.cause != "exit":
            raise JobStoppedError(timed_out=ended.cause == "timeout")
        error = self.sandbox.launch_error(self.folder)
        if error:
            raise JobFailedError(f"InternalServerError: the job's process could not be started: {error}")
        return ended

    def require_success(self, ended: ProcessEnd, message: str | None) -> None:
        """Raise JobFailedError with AWS's message unless the command succeeded.

        :param message: the reason that the program wrote.
        """
        if ended.exit_code == 0:
            return
        if self._settings.job_memory_mb and self._looks_out_of_memory():
            raise JobFailedError(_OUT_OF_MEMORY)
        text = (message or "").strip()[:_LONGEST_REASON]
        raise JobFailedError(
            f"AlgorithmError: {text}, exit code: {ended.exit_code}{self.packages.differences}"
        )

    def produced(self, container_path: str) -> Path:
        """Return the path on this machine of something that the program wrote.

        :raises JobFailedError: the program put a link there that leads out of its folder, which would lead to
            another file on this machine than in the container.
        """
        path = self.folder.host_path(container_path)
        if not path.resolve().is_relative_to(self.folder.ml.resolve()):
            raise JobFailedError(f"ClientError: {container_path} is a link that leads out of /opt/ml.")
        return path

    def read_message(self, container_path: str) -> str | None:
        """Return the text of a file that the program wrote, or None."""
        path = self.produced(container_path)
        if not path.is_file():
            return None
        with path.open("rb") as file:
            return file.read(_LONGEST_REASON * 4).decode("utf-8", "replace")[:_LONGEST_REASON] or None

    def _record_process(self, pid: int) -> None:
        self._store.update(self.kind.resource, self.name, _process={"pid": pid, "started": start_time(pid)})

    def _seconds_allowed(self) -> float:
        longest = self.longest_seconds
        condition = self.document.get("StoppingCondition", {})
        began = self.document.get(self.kind.start_field) or time.time()
        allowed = min(longest, float(condition.get("MaxRuntimeInSeconds", longest)))
        return max(0.0, float(began) + allowed - time.time())

    def _looks_out_of_memory(self) -> bool:
        return any(sign in line for line in self.log.tail for sign in _MEMORY_SIGNS)
