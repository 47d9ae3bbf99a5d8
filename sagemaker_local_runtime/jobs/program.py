"""The interface of the programs that run jobs."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

from sagemaker_local_runtime.account import Account
from sagemaker_local_runtime.jobs.job import Job
from sagemaker_local_runtime.jobs.kinds import JobKind
from sagemaker_local_runtime.validation import Check


class JobProgram(ABC):
    """Runs every job of one kind."""

    kind: ClassVar[JobKind]
    #: The fields of a request that its Describe answer repeats.
    described: ClassVar[tuple[str, ...]]

    @staticmethod
    @abstractmethod
    def checks(request: dict[str, Any]) -> Iterator[Check]:
        """Yield the checks that need nothing but the request; a pipeline is checked with them, too."""

    @abstractmethod
    def validate(self, request: dict[str, Any]) -> None:
        """Raise AwsError for a request that AWS or this runtime would refuse."""

    def inputs(self, request: dict[str, Any]) -> dict[str, str]:
        """Return the S3 URIs where AWS looks for objects before it accepts the job, each with the role."""
        return {}

    def describe(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the fields of the new job's Describe answer that its request decides."""
        return {field: request[field] for field in self.described if field in request}

    def document(self, account: Account, request: dict[str, Any]) -> dict[str, Any]:
        """Return the document of a new job."""
        kind, now = self.kind, time.time()
        name = str(request[kind.name_field])
        return {
            kind.name_field: name,
            kind.arn_field: account.arn(f"{kind.resource}/{name}"),
            kind.status_field: "InProgress",
            "CreationTime": now,
            "LastModifiedTime": now,
            "_log_stream": f"{name}/algo-1-{int(now)}",
            **self.describe(request),
        }

    @abstractmethod
    def run(self, job: Job) -> dict[str, Any]:
        """Run the job to its end and return the fields that its Describe answer gains.

        :raises JobFailedError: it failed.
        :raises JobStoppedError: it was stopped.
        """

    def stopping(self, job: Job) -> dict[str, Any]:
        """Return the fields that the Describe answer gains when the job is asked to stop."""
        return {}

    def ended(self, job: Job, status: str, *, timed_out: bool) -> dict[str, Any]:
        """Return the fields that the Describe answer gains however the job ended."""
        return {}
