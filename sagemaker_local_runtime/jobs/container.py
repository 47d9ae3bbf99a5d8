"""What runs commands in the sandbox: a folder, a log, the packages of an image, and how it is interrupted."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sagemaker_local_runtime.exceptions import JobFailedError, JobStoppedError
from sagemaker_local_runtime.jobs.logs import JobLog
from sagemaker_local_runtime.jobs.packages import Packages
from sagemaker_local_runtime.jobs.process import Interrupt, ProcessEnd, run_process
from sagemaker_local_runtime.jobs.sandbox import JobFolder, Sandbox
from sagemaker_local_runtime.jobs.untrusted import read_file
from sagemaker_local_runtime.services.storage import Storage

LONGEST_REASON = 1024


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


class Container:
    """What stands in for a container: commands run in it, one after the other.

    :param storage: reads its inputs and writes its outputs.
    :param files: its folder, its log and how its commands are isolated.
    :param packages: what gives it the environment of its image.
    """

    def __init__(self, storage: Storage, files: JobFiles, packages: Packages) -> None:
        self.storage = storage
        self.folder, self.sandbox, self.log = files.folder, files.sandbox, files.log
        self.interrupt = Interrupt()
        self._packages = packages
        self.packages = packages.open(self.folder, self.sandbox, self.log.add_line, self.check_not_stopped)

    def check_not_stopped(self) -> None:
        """Raise JobStoppedError if the job was stopped; called between the stages of a job."""
        if self.interrupt.is_set():
            raise JobStoppedError

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
        # Created anew, since opening a pipe that a program of this job put there would wait for a reader.
        path.unlink(missing_ok=True)
        with path.open("x") as file:
            json.dump(content, file)

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

    def produced(self, container_path: str) -> Path:
        """Return the path on this machine, without links, of something that the program wrote.

        :raises JobFailedError: the program put a link there that leads out of its folder, which would lead to
            another file on this machine than in the container.
        """
        # Unlike Path.resolve(), this raises nothing for a link to itself.
        path = Path(os.path.realpath(self.folder.host_path(container_path)))
        if not path.is_relative_to(self.folder.ml.resolve()):
            raise JobFailedError(f"ClientError: {container_path} is a link that leads out of /opt/ml.")
        return path

    def read_message(self, container_path: str) -> str | None:
        """Return the text of a file that the program wrote, or None."""
        content = read_file(self.produced(container_path), LONGEST_REASON * 4) or b""
        return content.decode("utf-8", "replace")[:LONGEST_REASON] or None

    def _record_process(self, pid: int) -> None:
        """Note which process runs now."""

    def _seconds_allowed(self) -> float:
        """Return how long the next command may run."""
        return math.inf
