"""What the program of each kind of job answers to."""

from __future__ import annotations

from typing import Any, Protocol

from local_runtime.jobs.job import Job
from local_runtime.jobs.kinds import JobKind


class JobProgram(Protocol):
    """Runs every job of one kind."""

    kind: JobKind

    def validate(self, request: dict[str, Any]) -> None:
        """Refuse a request that AWS or this runtime would not run, with an AwsError."""
        ...

    def describe(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the fields of the new job's Describe answer that its request decides."""
        ...

    def run(self, job: Job) -> dict[str, Any]:
        """Run the job to its end and return what its Describe answer gains.

        :raises JobFailedError: it failed.
        :raises JobStoppedError: it was stopped.
        """
        ...

    def stopping(self, job: Job) -> dict[str, Any]:
        """Return what the Describe answer gains when the end is asked for."""
        ...

    def ended(self, job: Job, status: str, *, timed_out: bool) -> dict[str, Any]:
        """Return what the Describe answer gains whatever the end was."""
        ...
