"""Find and remove everything that a smoke run has created, also what it was never told about."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from sagemaker_pipelines.aws.errors import is_conflict, is_denied, is_missing, is_missing_object, is_transient
from sagemaker_pipelines.aws.jobs import billed_seconds
from sagemaker_pipelines.aws.pacing import delay_after
from sagemaker_pipelines.aws.stopping import stop_execution
from sagemaker_pipelines.cli.smoke.place import Place
from sagemaker_pipelines.exceptions import SageMakerPipelinesError
from sagemaker_pipelines.states import is_end

MAX_WAIT_SECONDS = 30 * 60.0
_EXECUTION, _JOB = "execution", "processing job and its log"
_LOG_GROUP = "/aws/sagemaker/ProcessingJobs"
_ATTEMPTS = 4
# Before the second attempt; it is doubled before each further one.
PAUSE_SECONDS = 2.0


class JobsLeftError(SageMakerPipelinesError):
    """The pipeline cannot be removed yet."""


@dataclass
class Created:
    """Something that the run created.

    :param kind: what it is, such as ``"pipeline"``.
    :param name: its name, or its key in the artifact bucket.
    :param problem: why it is still there; empty once it is removed.
    :param is_final: whether AWS refuses to remove it, so that another attempt would not help.
    """

    kind: str
    name: str
    problem: str = "not removed yet"
    is_final: bool = False


class Removal:
    """Removes what a run created, found by its names.

    What AWS created although its answer was lost is found as well, and what is gone already is no error, so
    this can be repeated. The pipeline comes last, because its executions name the jobs.

    :param place: where the run works.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._client = place.client
        #: Everything that was found, and what could not be looked for.
        self.created: list[Created] = []
        self._billed: dict[str, float] = {}

    @property
    def instance_seconds(self) -> float:
        """What the jobs have billed."""
        return round(sum(self._billed.values()), 3)

    @property
    def left(self) -> list[Created]:
        """What is still there."""
        return [each for each in self.created if each.problem]

    def run(self) -> list[Created]:
        """Remove everything, and return what was found; see :attr:`left` for what could not be removed."""
        for kind, find, remove in (
            (_EXECUTION, self._executions, self._end),
            (_JOB, self._jobs, self._delete_job),
            ("model package", self._packages, self._delete_package),
            ("model package group", self._groups, self._delete_group),
            ("object version", self._objects, self._delete_object),
            ("pipeline", self._pipelines, self._delete_pipeline),
        ):
            self._remove_all(kind, find, remove)
        return self.created

    def _remove_all(
        self, kind: str, find: Callable[[], Iterator[Any]], remove: Callable[[Any], None]
    ) -> None:
        found: list[Any] = []
        unknown = Created(kind, f"of the run {self._place.run_id}")
        _attempt(unknown, lambda: found.extend(find()))
        if unknown.problem:
            unknown.is_final = False
            unknown.problem = f"could not be looked for: {unknown.problem}"
            self.created.append(unknown)
        # Named first, so that what is left is known if somebody interrupts.
        named = [(item, Created(kind, _name_of(item))) for item in dict.fromkeys(found)]
        self.created.extend(created for _, created in named)
        for item, created in named:
            _attempt(created, partial(remove, item))

    def _executions(self) -> Iterator[str]:
        for execution in self._client.list_executions(self._place.name):
            yield str(execution["PipelineExecutionArn"])

    def _end(self, arn: str) -> None:
        """Stop an execution and wait for its end; it is deleted with its pipeline."""
        if is_end(self._client.execution_status(arn)):
            return
        # This logger does not fail if nobody reads its lines any more.
        stop_execution(self._client.sagemaker, arn, seconds=60, log=logging.getLogger(__name__))
        began = time.monotonic()
        while not is_end(self._client.execution_status(arn)):
            age = time.monotonic() - began
            if age > MAX_WAIT_SECONDS:
                raise TimeoutError(f"it still runs {MAX_WAIT_SECONDS / 60:.0f} minutes after it was stopped")
            time.sleep(delay_after(age, 10))

    def _jobs(self) -> Iterator[str]:
        """Yield the names of the jobs, also of attempts that the steps no longer name."""
        for arn in self._executions():
            pages = self._client.pages(
                "list_processing_jobs", "ProcessingJobSummaries", NameContains=arn.rpartition("/")[2]
            )
            yield from (str(job["ProcessingJobName"]) for job in pages)

    def _delete_job(self, name: str) -> None:
        """Delete a job after its log, which is found by the job's name, and remember what it has billed."""
        job = self._client.sagemaker.describe_processing_job(ProcessingJobName=name)
        count = job["ProcessingResources"]["ClusterConfig"]["InstanceCount"]
        self._billed[name] = billed_seconds(job)[0] * count
        try:
            pages = self._client.logs.get_paginator("describe_log_streams").paginate(
                logGroupName=_LOG_GROUP, logStreamNamePrefix=f"{name}/"
            )
            for stream in [stream["logStreamName"] for page in pages for stream in page["logStreams"]]:
                self._client.logs.delete_log_stream(logGroupName=_LOG_GROUP, logStreamName=stream)
        except ClientError as error:
            # Without a log group, nothing has been logged in this account and region.
            if not is_missing(error):
                raise
        self._client.sagemaker.delete_processing_job(ProcessingJobName=name)

    def _packages(self) -> Iterator[str]:
        for package in self._client.pages(
            "list_model_packages", "ModelPackageSummaryList", ModelPackageGroupName=self._place.name
        ):
            yield str(package["ModelPackageArn"])

    def _delete_package(self, arn: str) -> None:
        self._client.sagemaker.delete_model_package(ModelPackageName=arn)

    def _groups(self) -> Iterator[str]:
        found = self._client.pages(
            "list_model_package_groups", "ModelPackageGroupSummaryList", NameContains=self._place.name
        )
        yield from (name for group in found if (name := group["ModelPackageGroupName"]) == self._place.name)

    def _delete_group(self, name: str) -> None:
        self._client.sagemaker.delete_model_package_group(ModelPackageGroupName=name)

    def _objects(self) -> Iterator[tuple[str, str]]:
        """Yield the keys with their versions; in a bucket without versions, these are ``null``."""
        pages = self._client.s3.get_paginator("list_object_versions").paginate(
            Bucket=self._place.bucket, Prefix=self._place.prefix
        )
        for page in pages:
            for item in [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]:
                yield item["Key"], item["VersionId"]

    def _delete_object(self, item: tuple[str, str]) -> None:
        self._client.s3.delete_object(Bucket=self._place.bucket, Key=item[0], VersionId=item[1])

    def _pipelines(self) -> Iterator[str]:
        if self._client.describe_pipeline(self._place.name) is not None:
            yield self._place.name

    def _delete_pipeline(self, name: str) -> None:
        if any(each.kind in (_EXECUTION, _JOB) and not each.is_final for each in self.left):
            raise JobsLeftError("the jobs that are left are found by its executions, so they go first")
        self._client.sagemaker.delete_pipeline(PipelineName=name)


def _name_of(item: str | tuple[str, str]) -> str:
    return item if isinstance(item, str) else item[0]


def _attempt(created: Created, act: Callable[[], None]) -> None:
    """Call AWS until it answers, and write down what is wrong, if it is not done."""
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(PAUSE_SECONDS * 2 ** (attempt - 1))
        try:
            act()
        except ClientError as error:
            if is_missing(error) or is_missing_object(error) or "could not find" in str(error).lower():
                break
            created.problem = str(error)
            if not (is_transient(error) or is_conflict(error)):
                created.is_final = not is_denied(error)
                return
        except Exception as error:
            # Whatever is wrong with one thing, the others have to go.
            created.problem = f"{type(error).__name__}: {error}"
            if not is_transient(error):
                return
        else:
            break
    else:
        return
    created.problem = ""
