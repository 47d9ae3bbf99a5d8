"""Airflow's API server, as a task process hears it: it keeps connections and variables, and may fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time import supervisor, task_runner
from airflow.sdk.execution_time.comms import (
    ConnectionResult,
    ErrorResponse,
    GetConnection,
    GetVariable,
    GetVariableKeys,
    MaskSecret,
    OKResponse,
    PutVariable,
    VariableKeysResult,
    VariableResult,
)
from airflow.sdk.execution_time.secrets import ExecutionAPISecretsBackend
from airflow.secrets.environment_variables import EnvironmentVariablesBackend

NO_ANSWER = ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail={"status_code": 503})


class AirflowServer:
    """What a process sends its requests to.

    :ivar connections: the extra of each connection, by id.
    :ivar variables: the values, by key.
    :ivar faults: how the next requests of a kind fail: ``server`` is the server, ``database`` its database,
        which the server reports as "not found"; None does not fail.
    """

    def __init__(self) -> None:
        self.connections: dict[str, str] = {}
        self.variables: dict[str, str] = {}
        self.faults: dict[type, list[str | None]] = {}
        self.asked: list[type] = []

    def send(self, request: Any) -> Any:
        kind = type(request)
        self.asked.append(kind)
        fault = self.faults.get(kind, []) and self.faults[kind].pop(0)
        if fault == "server":
            raise AirflowRuntimeError(NO_ANSWER)
        return self._answer(request, has_database=fault != "database")

    def _answer(self, request: Any, *, has_database: bool) -> Any:
        match request:
            case GetConnection():
                if has_database and request.conn_id in self.connections:
                    extra = self.connections[request.conn_id]
                    known = {"conn_id": request.conn_id, "login": "own", "password": "x", "extra": extra}
                    unset = dict.fromkeys(("host", "schema", "port"))
                    return ConnectionResult.model_validate({"conn_type": "aws", **known, **unset})
                return ErrorResponse(error=ErrorType.CONNECTION_NOT_FOUND)
            case GetVariable():
                if has_database and request.key in self.variables:
                    return VariableResult(key=request.key, value=self.variables[request.key])
                return ErrorResponse(error=ErrorType.VARIABLE_NOT_FOUND)
            case GetVariableKeys():
                if not has_database:
                    raise AirflowRuntimeError(NO_ANSWER)
                return VariableKeysResult(keys=sorted(self.variables), total_entries=len(self.variables))
            case PutVariable():
                self.variables[request.key] = str(request.value)
                return OKResponse(ok=True)
            case MaskSecret():
                return None
        raise NotImplementedError(request)


@contextmanager
def airflow_server(*more: Any) -> Iterator[AirflowServer]:
    """Make this process one that asks a new server.

    :param more: secrets backends that are asked before it.
    """
    server = AirflowServer()
    backends: Callable[..., list[Any]] = lambda *_, **__: [  # noqa: E731 - a function of the same shape
        *more,
        EnvironmentVariablesBackend(),
        ExecutionAPISecretsBackend(),
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(task_runner, "SUPERVISOR_COMMS", server, raising=False)
        patch.setattr(supervisor, "ensure_secrets_backend_loaded", backends)
        yield server
