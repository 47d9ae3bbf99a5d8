"""End jobs: those that have finished, and those that an earlier runtime left unfinished; and delete them."""

from __future__ import annotations

import logging
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sagemaker_local_runtime.exceptions import ValidationError
from sagemaker_local_runtime.jobs.job import Job
from sagemaker_local_runtime.jobs.kinds import FINAL, JobKind
from sagemaker_local_runtime.jobs.sandbox import JobFolder
from sagemaker_local_runtime.processes import end_launcher
from sagemaker_local_runtime.services.tags import delete_tags
from sagemaker_local_runtime.store import Store

_log = logging.getLogger(__name__)
_INTERRUPTED = "InternalServerError: The local runtime ended while the job was running."


@dataclass(frozen=True)
class End:
    """How a job ended, before this is recorded.

    :param status: ``Completed``, ``Failed`` or ``Stopped``.
    :param reason: its FailureReason.
    :param timed_out: whether it was stopped because it ran out of time.
    :param changes: the fields that its Describe answer gains.
    """

    status: str
    reason: str | None = None
    timed_out: bool = False
    changes: dict[str, Any] = field(default_factory=dict)


def clean_up(job: Job, end: End) -> None:
    """Close a job's log and remove its files; an error is logged and does not affect the job's end."""
    try:
        if end.reason:
            job.log.add_line(end.reason)
        job.log.close()
        job.folder.remove_all_but_log()
    except Exception:
        _log.exception("Cleaning up after job %s failed", job.name)


def mark_interrupted(store: Store, kind: JobKind, document: dict[str, Any], jobs: Path) -> None:
    """End the processes that an earlier runtime left of a job, and mark the job as Failed.

    :param store: where the job is.
    :param kind: the kind of job.
    :param document: its document.
    :param jobs: the folder of all jobs.
    """
    process = document.get("_process")
    if process:
        end_launcher(process["pid"], process["started"])
    name = document[kind.name_field]
    changes: dict[str, Any] = {
        kind.status_field: "Failed",
        kind.end_field: time.time(),
        "FailureReason": _INTERRUPTED,
        "_process": None,
    }
    if kind.kind == "training":
        changes["SecondaryStatus"] = "Failed"
    store.update(kind.resource, name, LastModifiedTime=time.time(), **changes)
    folder = JobFolder(jobs / kind.kind / name)
    if folder.path.is_dir():
        folder.remove_all_but_log()


def delete_job(store: Store, kind: JobKind, document: dict[str, Any], jobs: Path) -> None:
    """Delete what is known about a job; its output in S3 and its log streams stay.

    :param store: where the job is.
    :param kind: the kind of job.
    :param document: its document.
    :param jobs: the folder of all jobs.
    :raises ValidationError: it has not ended.
    """
    status = document[kind.status_field]
    if status not in FINAL:
        noun = kind.resource.replace("-", " ")
        raise ValidationError(f"The request was rejected because the {noun} is in status {status}.")
    name = document[kind.name_field]
    with store.transaction():
        store.delete(kind.resource, name)
        delete_tags(store, document[kind.arn_field])
    shutil.rmtree(JobFolder(jobs / kind.kind / name).path, ignore_errors=True)
