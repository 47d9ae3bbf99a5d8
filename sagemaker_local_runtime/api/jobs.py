"""The actions on processing, training and transform jobs: the same for each kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sagemaker_local_runtime.api.paging import page, pick, select
from sagemaker_local_runtime.api.registry import Request, Response, action
from sagemaker_local_runtime.jobs.kinds import KINDS, JobKind
from sagemaker_local_runtime.runtime import Runtime
from sagemaker_local_runtime.service_model import operation

_SUMMARY = ("CreationTime", "LastModifiedTime", "SecondaryStatus", "FailureReason", "ExitMessage")
# The summaries of training jobs have no reason.
_NOT_IN_SUMMARY = {"training": {"FailureReason", "ExitMessage"}}


def _register(kind: JobKind) -> None:
    """Register Create, Describe, Stop, List and, where AWS has it, Delete of one kind."""

    @action(f"Create{kind.prefix}")
    def create(runtime: Runtime, request: Request) -> Response:
        return {kind.arn_field: runtime.jobs.create(kind.kind, request)}

    @action(f"Describe{kind.prefix}")
    def describe(runtime: Runtime, request: Request) -> Response:
        return runtime.jobs.describe(kind.kind, request[kind.name_field])

    @action(f"Stop{kind.prefix}")
    def stop(runtime: Runtime, request: Request) -> Response:
        runtime.jobs.stop(kind.kind, request[kind.name_field])
        return {}

    if operation(f"Delete{kind.prefix}"):

        @action(f"Delete{kind.prefix}")
        def delete(runtime: Runtime, request: Request) -> Response:
            runtime.jobs.delete(kind.kind, request[kind.name_field])
            return {}

    @action(f"List{kind.prefix}s")
    def list_jobs(runtime: Runtime, request: Request) -> Response:
        jobs = runtime.jobs.list(kind.kind)
        items = select(jobs, request, name=kind.name_field, status=kind.status_field)
        found, following = page(items, request, key=kind.name_field)
        return {f"{kind.prefix}Summaries": [_summary(job, kind) for job in found], **following}


def _summary(job: Mapping[str, Any], kind: JobKind) -> dict[str, Any]:
    own = (kind.name_field, kind.arn_field, kind.status_field, kind.end_field)
    left_out = _NOT_IN_SUMMARY.get(kind.kind, set())
    return pick(job, (field for field in (*own, *_SUMMARY) if field not in left_out))


for _kind in KINDS.values():
    _register(_kind)
