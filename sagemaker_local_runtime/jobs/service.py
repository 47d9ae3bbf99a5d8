"""Create, watch and stop jobs."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
import traceback
from pathlib import Path
from typing import Any

from sagemaker_local_runtime.account import Account
from sagemaker_local_runtime.exceptions import (
    AwsError,
    JobFailedError,
    JobStoppedError,
    ResourceInUseError,
    ValidationError,
)
from sagemaker_local_runtime.faults import FaultPlan
from sagemaker_local_runtime.images.catalog import Catalog
from sagemaker_local_runtime.images.environments import Environments
from sagemaker_local_runtime.images.preparation import Preparation
from sagemaker_local_runtime.jobs.container import JobFiles
from sagemaker_local_runtime.jobs.ending import End, clean_up, delete_job, mark_interrupted
from sagemaker_local_runtime.jobs.job import Job
from sagemaker_local_runtime.jobs.kinds import FINAL, KINDS, job_tags
from sagemaker_local_runtime.jobs.logs import LogShipper
from sagemaker_local_runtime.jobs.packages import Packages
from sagemaker_local_runtime.jobs.processing import ProcessingProgram
from sagemaker_local_runtime.jobs.program import JobProgram
from sagemaker_local_runtime.jobs.sandbox import JobFolder, Sandbox
from sagemaker_local_runtime.jobs.training import TrainingProgram
from sagemaker_local_runtime.jobs.transform import TransformProgram
from sagemaker_local_runtime.processes import end_processes_below
from sagemaker_local_runtime.services.experiments import Experiments
from sagemaker_local_runtime.services.models import ModelRegistry
from sagemaker_local_runtime.services.storage import Storage
from sagemaker_local_runtime.services.tags import put_tags
from sagemaker_local_runtime.store import public

# Inside the class, "list" is the method.
Documents = list[dict[str, Any]]
_log = logging.getLogger(__name__)
_STOP_CHECK_SECONDS, _SHUTDOWN_SECONDS = 0.1, 15.0


class JobService:
    """Run jobs, each in a thread that waits for a sandboxed process.

    Jobs above the limit of concurrent jobs wait, as InProgress, until another one ends.

    :param account: its store keeps the jobs, and its endpoint serves their calls.
    :param storage: reads their inputs and writes their outputs.
    :param models: the models of transform jobs.
    :param faults: the rules for jobs that get no machine.
    """

    def __init__(self, account: Account, storage: Storage, models: ModelRegistry, faults: FaultPlan) -> None:
        self._account, self._storage, self._faults = account, storage, faults
        self._store = account.store
        # Resolved, because jobs have another working directory.
        self._folder = account.settings.data_dir.resolve() / "jobs"
        self.images = Catalog(account.settings.images)
        programs: tuple[JobProgram, ...] = (
            ProcessingProgram(self.images),
            TrainingProgram(self.images),
            TransformProgram(self.images, models),
        )
        self._programs: dict[str, JobProgram] = {program.kind.kind: program for program in programs}
        environments = Environments(account.settings.cache.resolve())
        self.packages = Packages(environments, allowed=account.settings.packages)
        self.preparation = Preparation(self.images, environments)
        self._shipper = LogShipper(account)
        self._experiments = Experiments(account)
        self._sandbox: Sandbox | None = None
        self._sandbox_lock = threading.Lock()
        self._slots = threading.Condition()
        self._running = 0
        self._limit = account.settings.max_concurrent_jobs or max(4, 2 * (os.cpu_count() or 2))
        self._active: dict[tuple[str, str], tuple[Job, threading.Event]] = {}
        self._active_lock = threading.Lock()
        self._closing = False

    @property
    def sandbox(self) -> Sandbox:
        """How jobs are isolated; determined once."""
        with self._sandbox_lock:
            if self._sandbox is None:
                self._sandbox = Sandbox(self._account.settings, self._account.endpoint_url)
            return self._sandbox

    @property
    def isolation(self) -> str:
        """``"namespace"`` or ``"rewrite"``."""
        return self.sandbox.isolation

    def create(
        self,
        kind: str,
        request: dict[str, Any],
        *,
        pipeline_execution_arn: str | None = None,
        step_name: str | None = None,
    ) -> str:
        """Start a job and return its ARN.

        :param kind: ``"processing"``, ``"training"`` or ``"transform"``.
        :param request: the Create request in AWS's shape.
        :param pipeline_execution_arn: the execution that it belongs to, for its tags.
        :param step_name: the step that it belongs to, for its tags.
        :raises AwsError: the request is refused.
        """
        job_kind, program = KINDS[kind], self._programs[kind]
        self.check(kind, request)
        document = program.document(self._account, request)
        name, arn = document[job_kind.name_field], str(document[job_kind.arn_field])
        sandbox = self.sandbox
        folder = JobFolder(self._folder / kind / name)
        with self._store.transaction():
            if not self._store.insert(job_kind.resource, name, document):
                raise ResourceInUseError(
                    "Job name must be unique within an AWS account and region, "
                    f"and a job with this name already exists ({arn})"
                )
            put_tags(self._store, arn, job_tags(request, pipeline_execution_arn, step_name))
            # Inside the transaction, since every job needs a folder.
            folder.path.mkdir(parents=True, exist_ok=True)
            log = self._shipper.open(job_kind.log_group, document["_log_stream"], folder.log)
        if document.get("ExperimentConfig"):
            self._experiments.add_job(kind, name, arn, document)
        files = JobFiles(folder, sandbox, log)
        job = Job(self._account, self._storage, job_kind, document, files, self.packages)
        done = threading.Event()
        with self._active_lock:
            self._active[kind, name] = (job, done)
        threading.Thread(target=self._run, args=(program, job, done), name=f"job-{name}", daemon=True).start()
        return arn

    def check(self, kind: str, request: dict[str, Any]) -> None:
        """Raise AwsError if the Create request of a job would be refused."""
        program = self._programs[kind]
        program.validate(request)
        self._experiments.check(request.get("ExperimentConfig") or {})
        for uri, role_arn in program.inputs(request).items():
            self._storage.require_input(uri, role_arn)

    def describe(self, kind: str, name: str) -> dict[str, Any]:
        """Return AWS's Describe answer.

        :raises ValidationError: the job does not exist.
        """
        return public(self._get(kind, name))

    def list(self, kind: str) -> Documents:
        """Return the Describe answers of every job of a kind, oldest first."""
        return [public(document) for document in self._store.list(KINDS[kind].resource)]

    def log_path(self, kind: str, name: str) -> Path:
        """Return the file with a job's output."""
        return JobFolder(self._folder / kind / name).log

    def stop(self, kind: str, name: str) -> None:
        """Stop a job; its status becomes Stopping, then Stopped.

        :raises ValidationError: the job does not exist, or has already ended.
        """
        job_kind = KINDS[kind]
        with self._active_lock:
            active = self._active.get((kind, name))
            status = self._get(kind, name)[job_kind.status_field]
            if active is None or status in FINAL:
                noun = job_kind.resource.replace("-", " ")
                raise ValidationError(f"The request was rejected because the {noun} is in status {status}.")
            job = active[0]
            with job.lock:
                job.interrupt.set()
                with self._slots:
                    self._slots.notify_all()
                stopping = self._programs[kind].stopping(job)
                job.update(**{job_kind.status_field: "Stopping"}, **stopping)

    def delete(self, kind: str, name: str) -> None:
        """Delete a job that has ended, see :func:`delete_job`."""
        delete_job(self._store, KINDS[kind], self._get(kind, name), self._folder)

    def wait(self, kind: str, name: str, stop_event: threading.Event | None = None) -> dict[str, Any]:
        """Wait until a job has ended and return its Describe answer.

        :param stop_event: stops the job when it is set.
        """
        with self._active_lock:
            active = self._active.get((kind, name))
        if active is not None:
            done = active[1]
            while stop_event is not None and not done.wait(_STOP_CHECK_SECONDS):
                if stop_event.is_set():
                    self._stop_if_running(kind, name)
                    break
            done.wait()
        return self.describe(kind, name)

    def recover(self) -> None:
        """Choose the isolation, end what an earlier runtime left running and mark its jobs as Failed.

        :raises SettingsError: the requested isolation is not available.
        """
        _log.info("%s", self.sandbox.description)
        if self._account.settings.images:
            _log.info("The images of %s come before the built-in ones.", self._account.settings.images)
        for kind in KINDS.values():
            for document in self._store.list(kind.resource):
                if document[kind.status_field] not in FINAL:
                    mark_interrupted(self._store, kind, document, self._folder)
        end_processes_below(self._folder)

    def shutdown(self) -> None:
        """Stop every running job and wait until it has ended."""
        self._closing = True
        self.preparation.close()
        with self._active_lock:
            active = list(self._active.items())
        for (kind, name), _ in active:
            self._stop_if_running(kind, name)
        deadline = time.monotonic() + _SHUTDOWN_SECONDS
        for _, (_, done) in active:
            done.wait(max(0.0, deadline - time.monotonic()))
        self._shipper.close()

    def _get(self, kind: str, name: str) -> dict[str, Any]:
        document = self._store.get(KINDS[kind].resource, name)
        if document is None:
            raise ValidationError(KINDS[kind].missing.format(name=name))
        return document

    def _run(self, program: JobProgram, job: Job, done: threading.Event) -> None:
        """Run the job in its thread: no exception may escape, and the process is a child of this thread."""
        try:
            end = self._run_to_end(program, job)
            clean_up(job, end)
            self._store.persist(lambda: self._record_end(program, job, end))
        except Exception:
            # The store may be closed when the runtime is shutting down; recover() will mark the job.
            if not self._closing:
                _log.exception("Recording the end of job %s failed", job.name)
        finally:
            job.interrupt.close()
            done.set()

    def _run_to_end(self, program: JobProgram, job: Job) -> End:
        taken = False
        try:
            taken = self._take_slot(job)
            return End("Completed", changes=program.run(job))
        except JobStoppedError as stopped:
            return End("Stopped", timed_out=stopped.timed_out)
        except JobFailedError as failed:
            return End("Failed", str(failed))
        except AwsError as error:
            return End("Failed", f"ClientError: {error.message}")
        except Exception as error:
            _log.exception("Job %s failed inside the local runtime", job.name)
            job.log.add_line(traceback.format_exc())
            return End("Failed", f"InternalServerError: {type(error).__name__}: {error}")
        finally:
            if taken:
                with self._slots:
                    self._running -= 1
                    self._slots.notify()

    def _record_end(self, program: JobProgram, job: Job, end: End) -> None:
        kind = job.kind
        final = {kind.status_field: end.status, kind.end_field: time.time(), "FailureReason": end.reason}
        with self._active_lock:
            ended = program.ended(job, end.status, timed_out=end.timed_out)
            job.update(_process=None, **(end.changes | final | ended))
            self._experiments.end_job(kind.kind, job.name, job.document)
            self._active.pop((kind.kind, job.name), None)

    def _take_slot(self, job: Job) -> bool:
        no_machine = self._faults.capacity_error(f"Create{job.kind.prefix}")
        if no_machine:
            raise JobFailedError(no_machine)
        with self._slots:
            self._slots.wait_for(lambda: self._running < self._limit or job.interrupt.is_set())
            job.check_not_stopped()
            self._running += 1
        return True

    def _stop_if_running(self, kind: str, name: str) -> None:
        try:
            self.stop(kind, name)
        except ValidationError:
            return
        except sqlite3.Error as error:
            _log.warning("Job %s is being stopped, but its status is not Stopping: %s", name, error)
