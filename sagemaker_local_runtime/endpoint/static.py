"""moto's services: everything from AWS that the local runtime does not execute itself.

moto's backends are global to the process, so a process can run one local runtime at a time.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable
from contextlib import ExitStack
from typing import Any, cast

from moto.core.base_backend import BackendDict  # noqa: TID253 - this module is about moto
from moto.core.common_models import BaseModel  # noqa: TID253
from moto.core.model_instances import reset_model_data  # noqa: TID253
from moto.moto_server.werkzeug_app import (  # noqa: TID253
    DomainDispatcherApplication,
    create_backend_app,
)

from sagemaker_local_runtime.endpoint.calls import Call
from sagemaker_local_runtime.endpoint.identity import Identity
from sagemaker_local_runtime.endpoint.wire import Environ, StartResponse, error_answer
from sagemaker_local_runtime.services.durable_s3 import DurableS3
from sagemaker_local_runtime.settings import Settings
from sagemaker_local_runtime.store import Store

logger = logging.getLogger(__name__)

_tracked = BaseModel.__new__
_CHANGING = ("PUT", "POST", "DELETE", "PATCH")


class StaticServices:
    """Answer requests with moto, as the account of this runtime.

    :param settings: the account that owns the resources, and the folder of S3's objects.
    :param store: keeps the metadata of S3's objects.
    """

    def __init__(self, settings: Settings, store: Store) -> None:
        self._account_id = settings.account_id
        self._identity = Identity(settings)
        self._app = DomainDispatcherApplication(create_backend_app)
        _reset()
        # moto keeps every instance of every model for its dashboard, and would grow without limit.
        BaseModel.__new__ = _untracked
        self._s3 = DurableS3(settings.data_dir / "s3", store, settings.account_id)

    def answer(self, environ: Environ, start_response: StartResponse, call: Call) -> Iterable[bytes]:
        """Answer one request; what moto cannot read or does not support becomes an error in AWS's format."""
        environ["HTTP_X_MOTO_ACCOUNT_ID"] = self._account_id
        path = environ.get("PATH_INFO") or "/"
        if path.startswith("/moto-api") and environ.get("REQUEST_METHOD") in _CHANGING:
            message = "moto's own API is read-only here, since a reset would lose objects that are on disk."
            return error_answer("json", "AccessDenied", message, status=403, close=True).send(start_response)
        try:
            self._identity.prepare(call)
            if call.service != "s3":
                return self._by_moto(environ, start_response)
            return self._s3_answer(environ, start_response)
        except Exception as error:
            code, message, status = _refusal(call, error)
        return error_answer(call.protocol, code, message, status=status, close=True).send(start_response)

    def close(self) -> None:
        """Restore moto as it was, without any resources; S3's files stay."""
        _reset()
        self._s3.close()
        BaseModel.__new__ = _tracked

    def _s3_answer(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request only after its changes are on disk."""
        begun: list[tuple[Any, ...]] = []
        with ExitStack() as on_failure:
            with self._s3.request(str(environ.get("REQUEST_METHOD"))):
                body: Any = self._by_moto(environ, lambda *arguments: begun.append(arguments))
                on_failure.callback(body.close)
            on_failure.pop_all()
        start_response(*begun[-1])
        return cast("Iterable[bytes]", body)

    def _by_moto(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        body: Iterable[bytes] = self._app(environ, start_response)
        return body


def _refusal(call: Call, error: Exception) -> tuple[str, str, int]:
    """Return the code, text and status of what moto raised instead of answering."""
    if isinstance(error, NotImplementedError):
        message = f"The local runtime does not support {call.name}: {error or 'moto has no such action.'}"
        return "NotImplemented", message, 501
    if isinstance(error, (OSError, sqlite3.Error)):
        logger.error("The result of %s could not be stored", call.name, exc_info=error)
        message = f"The data directory cannot be written to: {error}. Nothing has changed."
        return "InternalError", message, 500
    if call.service == "sagemaker" and isinstance(error, KeyError):
        # moto looks some records up without a check.
        return "ResourceNotFound", f"{call.action}: {error} does not exist."[:512], 400
    # moto raises whatever its parsers raise, where AWS would name the mistake in the request.
    logger.warning("moto could not answer %s: %r", call.name, error)
    logger.debug("moto's traceback", exc_info=error)
    return "InvalidRequest", f"The request could not be read: {type(error).__name__}: {error}"[:512], 400


def _reset() -> None:
    """Delete everything that moto holds in this process."""
    BackendDict.reset()
    reset_model_data()


def _untracked(cls: type[Any], *_args: Any, **_kwargs: Any) -> Any:
    return object.__new__(cls)
