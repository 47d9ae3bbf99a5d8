"""The service and action of each request, and how often each was called."""

from __future__ import annotations

import io
import re
import threading
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import parse_qs

from botocore.loaders import Loader

from sagemaker_local_runtime.endpoint.functions import lambda_action
from sagemaker_local_runtime.endpoint.invocations import is_runtime, runtime_action
from sagemaker_local_runtime.endpoint.wire import MAX_BODY, Environ, content_length

_CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/[^/,\s]*/([^/,\s]*)/([^/,\s]+)/")
_TARGET_SERVICES = {
    "SageMaker": "sagemaker",
    "AmazonSQS": "sqs",
    "AWSEvents": "events",
    "Logs_20140328": "logs",
}
# The IAM action of each HTTP method on an object and on a bucket.
_S3_OBJECT = {"GET": "GetObject", "HEAD": "GetObject", "PUT": "PutObject", "POST": "PutObject"}
_S3_BUCKET = {"GET": "ListBucket", "HEAD": "ListBucket", "PUT": "CreateBucket", "POST": "PutObject"}


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request, named as in an IAM policy.

    :param service: ``"sagemaker"``, ``"s3"``, ...; ``""`` if it is unknown.
    :param action: ``"StartPipelineExecution"``, ``"GetObject"``, ...; ``""`` if it is unknown.
    :param access_key: the access key that signed it; ``""`` if it is not signed.
    :param region: the region it was signed for.
    :param protocol: the protocol of its errors: ``"json"``, ``"query"`` or ``"rest-xml"``.
    """

    service: str
    action: str
    access_key: str = ""
    region: str = ""
    protocol: str = "json"

    @property
    def name(self) -> str:
        """``"sagemaker:StartPipelineExecution"``."""
        return f"{self.service}:{self.action}"


def identify(environ: Environ) -> Call:
    """Return what a request asks for, whether or not it is well formed."""
    query = environ.get("QUERY_STRING") or ""
    source = environ.get("HTTP_AUTHORIZATION") or ""
    signed = _CREDENTIAL.search(source) or _CREDENTIAL.search(
        "Credential=" + "".join(parse_qs(query).get("X-Amz-Credential", []))
    )
    access_key, region, service = signed.groups() if signed else ("", "", "")
    prefix, dot, action = (environ.get("HTTP_X_AMZ_TARGET") or "").rpartition(".")
    if dot:
        service = service or _TARGET_SERVICES.get(prefix, prefix.lower())
        protocol = "json"
    elif service == "sagemaker" and is_runtime(environ):
        action, protocol = runtime_action(environ), "json"
    elif form_action := _form_action(environ):
        action, protocol = form_action, "query"
    elif service in ("", "s3"):
        service, action, protocol = "s3", _s3_action(environ, query), "rest-xml"
    elif service == "lambda":
        action, protocol = lambda_action(environ), "json"
        # The name that policies have for it.
        action = "InvokeFunction" if action == "Invoke" else action
    elif service == "scheduler":
        action, protocol = _scheduler_action(environ), "json"
    else:
        protocol = "json"
    return Call(service=service, action=action, access_key=access_key, region=region, protocol=protocol)


def _form_action(environ: Environ) -> str:
    """Return the Action of a query-protocol request; the body can still be read afterwards."""
    if not (environ.get("CONTENT_TYPE") or "").startswith("application/x-www-form-urlencoded"):
        return ""
    length = content_length(environ)
    if not length or length > MAX_BODY:
        return ""
    body = environ["wsgi.input"].read(length)
    environ["wsgi.input"] = io.BytesIO(body)
    return "".join(parse_qs(body.decode("latin-1")).get("Action", [])[:1])


def _scheduler_action(environ: Environ) -> str:
    """Return EventBridge Scheduler's action, which follows from the method and the path."""
    kind, _, name = (environ.get("PATH_INFO") or "/").strip("/").partition("/")
    noun = {"schedules": "Schedule", "schedule-groups": "ScheduleGroup"}.get(kind, "")
    if not name:
        return f"List{noun}s"
    verbs = {"POST": "Create", "GET": "Get", "PUT": "Update", "DELETE": "Delete"}
    return f"{verbs.get(str(environ.get('REQUEST_METHOD')), '')}{noun}"


def _s3_action(environ: Environ, query: str) -> str:
    method = str(environ.get("REQUEST_METHOD", ""))
    _, _, key = (environ.get("PATH_INFO") or "/").lstrip("/").partition("/")
    words = parse_qs(query, keep_blank_values=True)
    if (environ.get("PATH_INFO") or "/") == "/":
        return "ListAllMyBuckets"
    for word in ("location", "versioning", "policy", "encryption", "tagging", "acl", "notification"):
        if word in words and "uploadId" not in words:
            return _s3_subresource(method, word, key)
    if method == "DELETE" or "delete" in words:
        if "uploadId" in words:
            return "AbortMultipartUpload"
        if "versionId" in words:
            return "DeleteObjectVersion"
        return "DeleteObject" if key or "delete" in words else "DeleteBucket"
    if "versions" in words:
        return "ListBucketVersions"
    names = _S3_OBJECT if key else _S3_BUCKET
    return names.get(method) or method


def _s3_subresource(method: str, word: str, key: str) -> str:
    verb = {"GET": "Get", "PUT": "Put", "DELETE": "Delete"}.get(method, method.title())
    return f"{verb}{'Object' if key else 'Bucket'}{word.title()}"


class CallLog:
    """Counts the requests of one server by access key and action."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, Counter[str]] = defaultdict(Counter)

    def add(self, call: Call) -> None:
        """Count a request, under ``"unknown"`` if AWS has no such service."""
        name = call.name if is_known(call) else "unknown"
        with self._lock:
            self._counts[call.access_key][name] += 1

    def clear(self) -> None:
        """Reset all counts."""
        with self._lock:
            self._counts.clear()

    def as_document(self) -> dict[str, Any]:
        """Return ``{"counts": {action: n}, "by_access_key": {key: {action: n}}}``."""
        with self._lock:
            by_key = {key: dict(sorted(counts.items())) for key, counts in sorted(self._counts.items())}
        total: Counter[str] = Counter()
        for counts in by_key.values():
            total.update(counts)
        return {"counts": dict(sorted(total.items())), "by_access_key": by_key}


def is_known(call: Call) -> bool:
    """Return whether the names are plausible; otherwise any client could make the counters grow."""
    return call.service in _known_services() and bool(re.fullmatch(r"[A-Za-z]{1,64}", call.action))


@cache
def _known_services() -> frozenset[str]:
    return frozenset(Loader().list_available_services("service-2"))
