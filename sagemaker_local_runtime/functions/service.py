"""Create, change, list and invoke functions.

https://docs.aws.amazon.com/lambda/latest/api/API_Operations.html
"""

from __future__ import annotations

import re
import shutil
import threading
import time
import uuid
from collections.abc import Mapping
from typing import Any

from sagemaker_local_runtime.account import Account
from sagemaker_local_runtime.exceptions import AwsError
from sagemaker_local_runtime.functions.checks import INVALID, check_request
from sagemaker_local_runtime.functions.code import FunctionCode
from sagemaker_local_runtime.functions.invocation import Invocation, InvocationResult, Invoker
from sagemaker_local_runtime.jobs import JobService
from sagemaker_local_runtime.jobs.logs import LogShipper
from sagemaker_local_runtime.jobs.process import Interrupt
from sagemaker_local_runtime.store import Document, public

_KIND = "lambda-function"
# Of the 1,000 that an account has on AWS; each is a process of this machine.
_MOST_AT_ONCE = 50
_NAME = re.compile(
    r"(?:arn:aws[\w-]*:lambda:(?P<region>[\w-]+):)?(?:(?P<account>\d{12}):)?(?:function:)?"
    r"(?P<name>[\w-]+)(?::(?P<qualifier>\$LATEST|[\w-]+))?",
    re.ASCII,
)
_CONFIGURED = (
    "Description",
    "Environment",
    "Handler",
    "MemorySize",
    "Role",
    "Runtime",
    "Timeout",
    "VpcConfig",
)
_DEFAULTS: Mapping[str, Any] = {"Description": "", "MemorySize": 128, "Timeout": 3}


class FunctionService:
    """Keep functions in the store, and run them as processes.

    :param account: its store keeps the functions.
    :param jobs: whose sandbox functions run in.
    """

    def __init__(self, account: Account, jobs: JobService) -> None:
        self._account, self._store, self._jobs = account, account.store, jobs
        self._code = FunctionCode(account)
        self._shipper = LogShipper(account)
        self._folder = account.settings.data_dir.resolve() / "jobs" / "function"
        self._invoker = Invoker(self._code, self._shipper, self._folder)
        self._active: set[Interrupt] = set()
        self._lock = threading.Lock()
        # An archive that a function is about to have must not be removed meanwhile.
        self._changes = threading.RLock()
        self._closing = False

    def create(self, request: Mapping[str, Any]) -> Document:
        """Create a function, and return its configuration.

        :raises AwsError: the request is refused, or the function exists.
        """
        check_request(request)
        for required in ("Runtime", "Handler"):
            if required not in request:
                raise AwsError(
                    f"{required} is mandatory for functions created with deployment packages.", code=INVALID
                )
        name = self._name(request["FunctionName"])
        with self._changes:
            document = self._new_document(name, request)
            if not self._store.insert(_KIND, name, document):
                raise AwsError(
                    f"Function already exist: {name}", code="ResourceConflictException", status=409
                )
        return public(document)

    def get(self, name: str, qualifier: str | None = None) -> Document:
        """Return the configuration of a function.

        :param name: its name, its ARN or a part of the ARN.
        :raises AwsError: it does not exist, or has no such version.
        """
        return public(self._document(name, qualifier))

    def tags(self, name: str) -> dict[str, str]:
        """Return the tags of a function."""
        return dict(self._document(name)["_tags"])

    def list(self) -> list[Document]:
        """Return the configurations of all functions, by name."""
        return sorted(
            map(public, self._store.list(_KIND)), key=lambda document: str(document["FunctionName"])
        )

    def update_code(self, request: Mapping[str, Any]) -> Document:
        """Replace the code of a function.

        :raises AwsError: it does not exist, or the code cannot be used.
        """
        check_request(request)
        with self._changes:
            before = self._document(request["FunctionName"])
            changes = self._code.store(request)
            if request.get("DryRun"):
                self._discard(changes["CodeSha256"])
                return public({**before, **changes})
            after = self._update(before, changes)
            self._discard(before["CodeSha256"])
        return after

    def update_configuration(self, request: Mapping[str, Any]) -> Document:
        """Change settings of a function.

        :raises AwsError: it does not exist, or a setting is refused.
        """
        check_request(request)
        with self._changes:
            before = self._document(request["FunctionName"])
            return self._update(before, {key: request[key] for key in _CONFIGURED if key in request})

    def delete(self, name: str) -> None:
        """Delete a function; invocations that run go on.

        :raises AwsError: it does not exist.
        """
        with self._changes:
            document = self._document(name)
            self._store.delete(_KIND, document["FunctionName"])
            self._discard(document["CodeSha256"])

    def invoke(
        self, name: str, event: Any, *, qualifier: str | None = None, longest_seconds: float = 900.0
    ) -> InvocationResult:
        """Run a function, and return what it answers once it has ended.

        :param name: its name or ARN.
        :param event: a JSON value.
        :param qualifier: ``$LATEST`` or None.
        :param longest_seconds: ends it earlier than its own timeout.
        :raises AwsError: it does not exist, or too many functions are running.
        """
        invocation = Invocation(
            function=self._document(name, qualifier), event=event, longest_seconds=longest_seconds
        )
        interrupt = Interrupt()
        try:
            self._begin(interrupt)
            return self._invoker.run(invocation, self._jobs.sandbox, interrupt)
        finally:
            with self._lock:
                self._active.discard(interrupt)
            interrupt.close()

    def recover(self) -> None:
        """Remove what an earlier runtime left of invocations."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def shutdown(self) -> None:
        """End the functions that are running."""
        with self._lock:
            self._closing = True
            for interrupt in self._active:
                interrupt.set()
        self._shipper.close()

    def _new_document(self, name: str, request: Mapping[str, Any]) -> Document:
        return {
            "FunctionName": name,
            "FunctionArn": self._arn(name),
            **_DEFAULTS,
            **{key: request[key] for key in _CONFIGURED if key in request},
            **self._code.store(request["Code"]),
            "Version": "$LATEST",
            "PackageType": "Zip",
            "Architectures": request.get("Architectures") or ["x86_64"],
            "TracingConfig": {"Mode": "PassThrough"},
            "EphemeralStorage": {"Size": 512},
            "State": "Active",
            "LastUpdateStatus": "Successful",
            **_stamp(),
            "_tags": request.get("Tags") or {},
        }

    def _begin(self, interrupt: Interrupt) -> None:
        with self._lock:
            if self._closing:
                raise AwsError("The local runtime is shutting down.", code="ServiceException", status=500)
            if len(self._active) >= _MOST_AT_ONCE:
                raise AwsError("Rate Exceeded.", code="TooManyRequestsException", status=429)
            self._active.add(interrupt)

    def _update(self, before: Document, changes: Mapping[str, Any]) -> Document:
        return public(self._store.update(_KIND, before["FunctionName"], **changes, **_stamp()))

    def _discard(self, sha256: str) -> None:
        """Remove an archive unless a function has it."""
        if not any(other["CodeSha256"] == sha256 for other in self._store.list(_KIND)):
            self._code.discard(sha256)

    def _arn(self, name: str) -> str:
        settings = self._account.settings
        return f"arn:aws:lambda:{settings.region}:{settings.account_id}:function:{name}"

    def _name(self, given: str, qualifier: str | None = None) -> str:
        found = _NAME.fullmatch(given)
        settings = self._account.settings
        if found is None:
            raise AwsError(f"{given!r} is neither the name nor the ARN of a function.", code=INVALID)
        version = qualifier or found["qualifier"]
        elsewhere = found["account"] not in (None, settings.account_id) or found["region"] not in (
            None,
            settings.region,
        )
        if elsewhere or version not in (None, "$LATEST"):
            arn = given if given.startswith("arn:") else self._arn(given)
            suffix = f":{qualifier}" if qualifier else ""
            raise _not_found(f"{arn}{suffix}")
        return str(found["name"])

    def _document(self, given: str, qualifier: str | None = None) -> Document:
        name = self._name(given, qualifier)
        document = self._store.get(_KIND, name)
        if document is None:
            raise _not_found(self._arn(name))
        return document


def _not_found(arn: str) -> AwsError:
    return AwsError(f"Function not found: {arn}", code="ResourceNotFoundException", status=404)


def _stamp() -> dict[str, str]:
    now = time.time()
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
    return {"LastModified": f"{text}.{int(now * 1000) % 1000:03d}+0000", "RevisionId": str(uuid.uuid4())}
