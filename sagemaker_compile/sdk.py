"""What is particular to each major version of the SageMaker Python SDK, of which one is installed."""

from __future__ import annotations

import calendar
import datetime
import hashlib
import importlib
import itertools
import shutil
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

from sagemaker_compile.exceptions import CompileError

#: The roots of the modules below in SDK v3 and v2; in v3, ``sagemaker`` itself is a namespace.
_ROOTS = ("sagemaker.core", "sagemaker")

#: The SDK prints its milliseconds, too.
_START = datetime.datetime(2000, 1, 1, microsecond=500_000)

_strftime = time.strftime


def _module(*names: str) -> Any:
    """Import the first of these modules that the installed SDK has."""
    for name in names:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if not name.startswith(str(error.name)):
                raise
    raise CompileError(
        f"The SageMaker Python SDK has none of {', '.join(names)}, expected version 2 or 3. "
        "Install it: pip install 'sagemaker>=3.27,<4', or 'sagemaker<3' in an environment of its own."
    )


def pipeline_session(boto_session: Any, default_bucket: str) -> Any:
    """Return a session that captures the jobs of a pipeline instead of starting them."""
    module = _module(*(f"{root}.workflow.pipeline_context" for root in _ROOTS))
    return module.PipelineSession(boto_session=boto_session, default_bucket=default_bucket)


def is_pipeline(value: Any) -> bool:
    """Return whether a value is a pipeline of the SDK."""
    module = _module("sagemaker.mlops.workflow.pipeline", "sagemaker.workflow.pipeline")
    return isinstance(value, module.Pipeline)


def is_step(value: Any) -> bool:
    """Return whether a value is a step of the SDK."""
    module = _module("sagemaker.mlops.workflow.steps", "sagemaker.workflow.steps")
    return isinstance(value, module.Step)


def image_tables() -> Path:
    """Return the folder with the SDK's tables of images, one JSON file for each framework."""
    return Path(next(iter(_module(*(f"{root}.image_uri_config" for root in _ROOTS)).__path__)))


@contextmanager
def repeatable() -> Iterator[list[str]]:
    """Give the SDK a clock and random names that repeat, and no telemetry.

    Yields the list of the S3 URIs of the folders that the SDK uploads, which grows while it builds.
    """
    utils = _module("sagemaker.core.common_utils", "sagemaker.utils")
    names = _module("sagemaker.core.modules.utils", "sagemaker.modules.utils")
    telemetry = _module(*(f"{root}.telemetry.telemetry_logging" for root in _ROOTS))
    session = _module("sagemaker.core.helper.session_helper", "sagemaker.session").Session
    clock = _Clock()
    folders: list[str] = []
    with ExitStack() as stack:
        # To opt out in the SDK's settings file makes building six times slower: each call validates it.
        stack.enter_context(patch.object(telemetry, "_send_telemetry_request"))
        # Without the cache, it reads botocore's table of endpoints again for each image URI.
        stack.enter_context(patch.object(utils, "_botocore_resolver", cache(utils._botocore_resolver)))
        # Some functions of the SDK import the module time themselves.
        stack.enter_context(patch.object(time, "time", _for_the_sdk(clock.time, time.time)))
        stack.enter_context(patch.object(time, "strftime", _for_the_sdk(clock.strftime, time.strftime)))
        stack.enter_context(patch.object(names, "datetime", clock))
        if names.__name__ == "sagemaker.core.modules.utils":
            train = _module("sagemaker.train.utils")  # has a copy of the function
            stack.enter_context(patch.object(train, "datetime", clock))
        else:
            step = _module("sagemaker.workflow._utils")._RepackModelStep
            inject = _injecting_into_a_copy(step._inject_repack_script_and_launcher)
            stack.enter_context(patch.object(step, "_inject_repack_script_and_launcher", inject))
        stack.enter_context(patch.object(uuid, "uuid4", _for_the_sdk(_random_ids(), uuid.uuid4)))
        stack.enter_context(patch.object(session, "upload_data", _recording(session.upload_data, folders)))
        yield folders


def _random_ids() -> Callable[[], uuid.UUID]:
    """Return a ``uuid4`` whose ids repeat, and differ in all digits, as the SDK uses some of them."""
    calls = itertools.count()
    return lambda: uuid.UUID(bytes=hashlib.sha256(str(next(calls)).encode()).digest()[:16], version=4)


def _recording(upload_data: Any, folders: list[str]) -> Any:
    """Wrap ``Session.upload_data(path, ...)`` so that the URIs of uploaded folders are recorded."""

    def wrapper(self: Any, path: Any, *arguments: Any, **keywords: Any) -> Any:
        uri = upload_data(self, path, *arguments, **keywords)
        if Path(path).is_dir():
            folders.append(uri)
        return uri

    return wrapper


def _injecting_into_a_copy(inject: Any) -> Any:
    """Wrap the method of SDK v2 that writes files into the project's own folder, as SDK v3 does."""

    def wrapper(self: Any) -> None:
        if not self._source_dir.lower().startswith("s3://"):
            copy = Path(tempfile.mkdtemp())  # removed after compiling
            self._source_dir = self.estimator.source_dir = str(
                shutil.copytree(self._source_dir, copy / "source")
            )
        inject(self)

    return wrapper


def _for_the_sdk(replacement: Any, original: Any) -> Any:
    """Return a function that is the replacement for callers in the SDK, and the original for all others.

    How often the others call it does not repeat: boto3 does for each request and in threads.
    """

    def wrapper(*arguments: Any) -> Any:
        caller = str(sys._getframe(1).f_globals.get("__name__", ""))
        return (replacement if caller.startswith("sagemaker.") else original)(*arguments)

    return wrapper


class _Clock:
    """A clock that advances by a second each time it is read, so that names stay different.

    It replaces functions of the module ``time``, and the class ``datetime`` in the modules that make names.
    """

    def __init__(self) -> None:
        self._reads = itertools.count()

    def time(self) -> float:
        return calendar.timegm(self.now().timetuple()) + 0.5

    def strftime(self, template: str, moment: Any = None) -> str:
        return _strftime(template, moment or time.gmtime(self.time()))

    def now(self) -> datetime.datetime:
        return _START + datetime.timedelta(seconds=next(self._reads))
