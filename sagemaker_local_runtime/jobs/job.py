"""One running job: its folder, its log and its process."""

from __future__ import annotations

import copy
import threading
import time
from typing import Any

from sagemaker_local_runtime.account import Account
from sagemaker_local_runtime.exceptions import JobFailedError
from sagemaker_local_runtime.jobs.container import LONGEST_REASON, Container, JobFiles
from sagemaker_local_runtime.jobs.kinds import JobKind
from sagemaker_local_runtime.jobs.packages import Packages
from sagemaker_local_runtime.jobs.process import ProcessEnd
from sagemaker_local_runtime.jobs.sandbox import JobFolder
from sagemaker_local_runtime.processes import start_time
from sagemaker_local_runtime.services.storage import Storage

_OUT_OF_MEMORY = (
    "ClientError: Please use an instance type with more memory, "
    "or reduce the size of job data processed on an instance."
)
_MEMORY_SIGNS = ("MemoryError", "std::bad_alloc", "Cannot allocate memory", "Unable to allocate")


class Job(Container):
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
        super().__init__(storage, files, packages)
        self.kind, self.document = kind, document
        self._store, self._settings = account.store, account.settings
        self.name = str(document[kind.name_field])
        self.lock = threading.RLock()  # held while the document changes depending on its content

    @property
    def longest_seconds(self) -> int:
        """The longest that any job may run, in seconds."""
        return self._settings.job_max_runtime_seconds

    def update(self, **changes: Any) -> None:
        """Change the job's document."""
        self.document = self._store.update(
            self.kind.resource, self.name, LastModifiedTime=time.time(), **changes
        )

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

    def require_success(self, ended: ProcessEnd, message: str | None) -> None:
        """Raise JobFailedError with AWS's message unless the command succeeded.

        :param message: the reason that the program wrote.
        """
        if ended.exit_code == 0:
            return
        if self._settings.job_memory_mb and self._looks_out_of_memory():
            raise JobFailedError(_OUT_OF_MEMORY)
        text = (message or "").strip()[:LONGEST_REASON]
        raise JobFailedError(f"AlgorithmError: {text}, exit code: {ended.exit_code}{self.packages.notes}")

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
