"""Create, watch and stop tuning jobs."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from typing import Any

from sagemaker_local_runtime.account import Account
from sagemaker_local_runtime.exceptions import (
    AwsError,
    ResourceInUseError,
    ResourceNotFoundError,
    ValidationError,
)
from sagemaker_local_runtime.faults import FaultPlan
from sagemaker_local_runtime.jobs import JobService
from sagemaker_local_runtime.jobs.kinds import FINAL, TRAINING, job_tags
from sagemaker_local_runtime.services.tags import delete_tags, put_tags
from sagemaker_local_runtime.store import public
from sagemaker_local_runtime.tuning.plan import Plan
from sagemaker_local_runtime.tuning.summaries import best, counters, summary
from sagemaker_local_runtime.tuning.training import TrainingJobs, check_training
from sagemaker_local_runtime.tuning.tuner import Tuner

# Inside the class, "list" is the method.
Documents = list[dict[str, Any]]
RESOURCE = "hyper-parameter-tuning-job"
INTERRUPTED = "InternalServerError: The local runtime ended while the tuning job was running."
_DESCRIBED = ("HyperParameterTuningJobConfig", "TrainingJobDefinition")
_STATUS = "HyperParameterTuningJobStatus"
_STOP_CHECK_SECONDS, _SHUTDOWN_SECONDS = 0.1, 15.0
_log = logging.getLogger(__name__)


class TuningService:
    """Run tuning jobs, each in threads that wait for its training jobs.

    :param account: its store keeps the tuning jobs.
    :param jobs: runs their training jobs.
    :param faults: the rules for tuning jobs that get no machine.
    """

    def __init__(self, account: Account, jobs: JobService, faults: FaultPlan) -> None:
        self._account, self._jobs, self._faults = account, jobs, faults
        self._store = account.store
        self._active: dict[str, tuple[Tuner, threading.Event]] = {}
        self._lock = threading.RLock()

    def create(
        self,
        request: dict[str, Any],
        *,
        pipeline_execution_arn: str | None = None,
        step_name: str | None = None,
    ) -> str:
        """Start a tuning job and return its ARN.

        :param request: the CreateHyperParameterTuningJob request.
        :param pipeline_execution_arn: the execution that it belongs to, for the tags.
        :param step_name: the step that it belongs to, for the tags.
        :raises AwsError: the request is refused.
        """
        name = str(request["HyperParameterTuningJobName"])
        arn = self._account.arn(f"{RESOURCE}/{name}")
        plan = Plan.of(request)
        check_training(self._jobs, plan, name)
        training = TrainingJobs(
            jobs=self._jobs,
            plan=plan,
            tuning_job_arn=arn,
            tags=request.get("Tags", []),
            pipeline_execution_arn=pipeline_execution_arn,
            step_name=step_name,
            started=lambda job: self._store.persist(lambda: self._add(name, job)),
        )
        tuner, done = Tuner(plan, plan.search(), training.run), threading.Event()
        with self._lock:
            self._insert(request, arn, job_tags(request, pipeline_execution_arn, step_name))
            self._active[name] = (tuner, done)
        threading.Thread(
            target=self._run, args=(name, tuner, done), name=f"tuning-{name}", daemon=True
        ).start()
        return arn

    def describe(self, name: str) -> dict[str, Any]:
        """Return AWS's Describe answer.

        :raises ResourceNotFoundError: the tuning job does not exist.
        """
        document = self._get(name)
        summaries = self._summaries(document)
        found = best(summaries, minimize=Plan.of(document).minimize)
        return {
            **public(document),
            **counters(summaries),
            **({"BestTrainingJob": found} if found else {}),
        }

    def list(self) -> Documents:
        """Return the Describe answers of every tuning job, oldest first."""
        return [
            self.describe(document["HyperParameterTuningJobName"]) for document in self._store.list(RESOURCE)
        ]

    def training_jobs(self, name: str) -> Documents:
        """Return the summaries of a tuning job's training jobs, oldest first.

        :raises ResourceNotFoundError: the tuning job does not exist.
        """
        return self._summaries(self._get(name))

    def stop(self, name: str) -> None:
        """Stop a tuning job and its training jobs; its status becomes Stopping, then Stopped.

        :raises AwsError: the tuning job does not exist, or has already ended.
        """
        with self._lock:
            status, active = self._get(name)[_STATUS], self._active.get(name)
            if active is None or status in FINAL:
                noun = RESOURCE.replace("-", " ")
                raise ValidationError(f"The request was rejected because the {noun} is in status {status}.")
            active[0].halt.set()  # first, so that a full disk cannot keep anything running
            self._store.update(RESOURCE, name, LastModifiedTime=time.time(), **{_STATUS: "Stopping"})

    def delete(self, name: str) -> None:
        """Delete the record of an ended tuning job; its training jobs and artifacts stay.

        :raises AwsError: the tuning job does not exist, or is still running.
        """
        with self._lock:
            document = self._get(name)
            if document[_STATUS] not in FINAL:
                raise ResourceInUseError(
                    f"The tuning job {name} is in status {document[_STATUS]}. Stop it, and delete it when it "
                    "has ended."
                )
            self._store.delete(RESOURCE, name)
            delete_tags(self._store, document["HyperParameterTuningJobArn"])

    def wait(self, name: str, stop_event: threading.Event) -> dict[str, Any]:
        """Wait until a tuning job has ended and return its Describe answer.

        :param stop_event: stops the tuning job when it is set.
        """
        with self._lock:
            active = self._active.get(name)
        if active is not None:
            done = active[1]
            while not done.wait(_STOP_CHECK_SECONDS):
                if stop_event.is_set():
                    self._stop_if_running(name)
                    break
            done.wait()
        return self.describe(name)

    def recover(self) -> None:
        """Mark as failed what an earlier runtime left running."""
        for document in self._store.list(RESOURCE):
            if document[_STATUS] not in FINAL:
                self._end(document["HyperParameterTuningJobName"], "Failed", INTERRUPTED)

    def shutdown(self) -> None:
        """Stop every running tuning job and wait until it has ended."""
        with self._lock:
            active = list(self._active.items())
        for name, _ in active:
            self._stop_if_running(name)
        deadline = time.monotonic() + _SHUTDOWN_SECONDS
        for _, (_, done) in active:
            done.wait(max(0.0, deadline - time.monotonic()))

    def _get(self, name: str) -> dict[str, Any]:
        document = self._store.get(RESOURCE, name)
        if document is None:
            raise ResourceNotFoundError(f"Amazon SageMaker can't find a tuning job with the name {name}.")
        return document

    def _summaries(self, document: dict[str, Any]) -> Documents:
        plan = Plan.of(document)
        # A deleted training job has lost all of its metadata: API_DeleteTrainingJob.html
        found = (self._store.get(TRAINING.resource, name) for name in document["_training_jobs"])
        return [
            summary(
                job,
                tuning_job=document["HyperParameterTuningJobName"],
                metric=plan.metric,
                names=[item.name for item in plan.ranges],
            )
            for job in found
            if job is not None
        ]

    def _insert(self, request: dict[str, Any], arn: str, tags: Documents) -> None:
        now, name = time.time(), request["HyperParameterTuningJobName"]
        document = {
            "HyperParameterTuningJobName": name,
            "HyperParameterTuningJobArn": arn,
            _STATUS: "InProgress",
            "CreationTime": now,
            "LastModifiedTime": now,
            **{field: request[field] for field in _DESCRIBED},
            "_training_jobs": [],
        }
        with self._store.transaction():
            if not self._store.insert(RESOURCE, name, document):
                raise ResourceInUseError(
                    "Hyper parameter tuning job name must be unique within an AWS account and region, "
                    f"and a tuning job with this name already exists ({arn})"
                )
            put_tags(self._store, arn, tags)

    def _add(self, name: str, training_job: str) -> None:
        with self._store.transaction():
            names = [*self._get(name)["_training_jobs"], training_job]
            self._store.update(RESOURCE, name, LastModifiedTime=time.time(), _training_jobs=names)

    def _run(self, name: str, tuner: Tuner, done: threading.Event) -> None:
        """Run a tuning job in its thread; no exception may escape."""
        try:
            reason = self._faults.capacity_error("CreateHyperParameterTuningJob") or _reason(name, tuner)
            self._store.persist(lambda: self._end(name, "Failed" if reason else "Completed", reason))
        except Exception:
            # The store may be closed when the runtime is shutting down; recover() will mark the tuning job.
            _log.exception("Recording the end of tuning job %s failed", name)
        finally:
            with self._lock:
                self._active.pop(name, None)
            done.set()

    def _end(self, name: str, status: str, reason: str | None) -> None:
        with self._lock, self._store.transaction():
            if self._get(name)[_STATUS] == "Stopping":
                status, reason = "Stopped", None
            now = time.time()
            changes = {_STATUS: status, "HyperParameterTuningEndTime": now, "LastModifiedTime": now}
            self._store.update(RESOURCE, name, FailureReason=reason, **changes)

    def _stop_if_running(self, name: str) -> None:
        try:
            self.stop(name)
        except ValidationError:
            return
        except sqlite3.Error as error:
            _log.warning("Tuning job %s is being stopped, but its status is not Stopping: %s", name, error)


def _reason(name: str, tuner: Tuner) -> str | None:
    """Run the training jobs, and return why the tuning job failed, or None."""
    try:
        return tuner.run()
    except AwsError as error:
        return f"ClientError: {error.message}"
    except Exception as error:
        _log.exception("Tuning job %s failed inside the local runtime", name)
        return f"InternalServerError: {type(error).__name__}: {error}"
