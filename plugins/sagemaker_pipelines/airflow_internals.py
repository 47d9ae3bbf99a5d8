"""All names of Airflow that this package uses although Airflow does not guarantee to keep them.

Look here first when a new version of Airflow breaks something. The comments say why each name is needed and
what would replace it; ``tests/unit/sagemaker_pipelines/test_airflow_internals.py`` refuses such names
anywhere else.

Two class attributes of operators are undocumented too, but have to be in the operators themselves.
``overwrite_rtif_after_execution`` shows the effective parameters among the rendered fields; without it they
are still in XCom and in the log. ``inherits_from_skipmixin`` informs the scheduler that the task may skip
others; ``airflow.sdk.BaseBranchOperator`` sets it too, but the branch has the base class of AWS operators.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from airflow.sdk import Variable

# connection_is_missing() and variable_is_missing() need these to find out whether something does not exist or
# only could not be read. Airflow reports both as "not found", because its loop over the secrets backends
# ignores errors. They would be replaced by an error of airflow.sdk that distinguishes the two.
from airflow.sdk.exceptions import ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse, GetConnection, GetVariable

# What a start stores must outlive the retention of the task state store, because a run can be cleared at any
# time. Airflow's own example imports it from here; it would be replaced by its name in airflow.sdk.
from airflow.sdk.execution_time.context import NEVER_EXPIRE as NEVER_EXPIRE

# A trigger's on_kill asks whether its task is still deferred. A trigger has no method for that, so the
# Amazon provider's own triggers (triggers/emr.py, 9.39) call this class method. It would be replaced by a
# method of BaseTrigger, or by an on_kill that Airflow calls only for kills.
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance as RuntimeTaskInstance

# Airflow informs a producer when the events of a message are stored, so that no message is deleted too early.
# Only the trigger's side (BaseEventTrigger.create_shared_stream_producer) is in a documented module, and it
# returns this class. Both would be replaced by their names in airflow.triggers.base.
from airflow.triggers.shared_stream import AdvanceItem as AdvanceItem
from airflow.triggers.shared_stream import SharedStreamProducer as SharedStreamProducer

if TYPE_CHECKING:
    # The types of a task's log, which is structlog's and not the standard library's, and of a running task
    # instance. They would be replaced by names in airflow.sdk, whose TaskInstance is missing in the stub that
    # type checkers read.
    from airflow.sdk.types import Logger as Logger
    from airflow.sdk.types import RuntimeTaskInstanceProtocol as RuntimeTaskInstanceProtocol

_PREFIX = "sagemaker_pipelines"


def connection_is_missing(conn_id: str) -> bool:
    """Return whether a connection certainly does not exist.

    :param conn_id: the connection's id.
    :raises Exception: one of the places where it could be stored did not answer.
    """
    return _is_missing(
        GetConnection(conn_id=conn_id),
        ErrorType.CONNECTION_NOT_FOUND,
        lambda backend: backend.get_connection(conn_id=conn_id),
    )


def variable_is_missing(key: str) -> bool:
    """Return whether a variable of this package certainly does not exist.

    :param key: the variable's key, which begins with ``sagemaker_pipelines``.
    :raises Exception: one of the places where it could be stored did not answer.
    """
    return _is_missing(
        GetVariable(key=key), ErrorType.VARIABLE_NOT_FOUND, lambda backend: backend.get_variable(key=key)
    )


def _is_missing(request: Any, not_found: ErrorType, ask: Callable[[Any], Any]) -> bool:
    # Only tasks and triggers call this, and they have already loaded these slow modules.
    from airflow.sdk.execution_time import task_runner
    from airflow.sdk.execution_time.secrets import ExecutionAPISecretsBackend
    from airflow.sdk.execution_time.supervisor import ensure_secrets_backend_loaded

    for backend in ensure_secrets_backend_loaded():
        if not isinstance(backend, ExecutionAPISecretsBackend):
            if ask(backend) is not None:
                return False
            continue
        # The API server runs the same loop, so a failure of its database also appears as "not found". This
        # query goes directly to its database, and raises if that does not answer.
        keys = list(Variable.keys(prefix=_PREFIX))
        if isinstance(request, GetVariable) and request.key in keys:
            return False
        answer = task_runner.SUPERVISOR_COMMS.send(request)
        if not isinstance(answer, ErrorResponse) or answer.error is not not_found:
            return False
    return True


def running_triggers() -> int:
    """Return how many triggers run in this triggerer.

    Airflow offers no such number. Each trigger is a task of the event loop that runs this method of the
    triggerer; a method of BaseTrigger that asks for room would replace it.
    """
    return sum(
        getattr(task.get_coro(), "__qualname__", "") == "TriggerRunner.run_trigger"
        for task in asyncio.all_tasks()
    )


class PacedSensorMixin:
    """Let a sensor decide how long to sleep between two polls; mixed in before the sensor's base class."""

    def seconds_to_next_poke(self) -> float:
        """Return how long to sleep, in seconds."""
        raise NotImplementedError

    # BaseSensorOperator offers a fixed interval or exponential backoff, but a wait needs neither. This would
    # be replaced by a public method with the same effect.
    def _get_next_poke_interval(self, *args: Any) -> float:
        return self.seconds_to_next_poke()


# An attempt has left XComs of its own in these states; the last one is between two attempts.
_ATTEMPT_ENDED = ("success", "failed", "up_for_retry")

# The page's route runs in the API server. Its documented helper for plugins is requires_access_dag(); the
# public REST API lists XComs without their values, so a page with 100 runs would need 200 requests. These
# would be replaced by lists of XComs with values in that API. Workers load this module too, and import none
# of these.


def requires_access_to_runs() -> list[Any]:
    """Return FastAPI's dependencies that refuse viewers who may not read the runs and XComs of ``dag_id``."""
    from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
    from airflow.api_fastapi.core_api.security import requires_access_dag
    from fastapi import Depends

    entities = (DagAccessEntity.RUN, DagAccessEntity.XCOM)
    return [Depends(requires_access_dag(method="GET", access_entity=entity)) for entity in entities]


def readable_dag_ids() -> Any:
    """Return FastAPI's dependency on the ids of the DAGs that the viewer may read."""
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.core_api.security import get_user
    from fastapi import Depends

    def read(user: Any = Depends(get_user)) -> set[str]:  # noqa: B008 - FastAPI's form
        return get_auth_manager().get_authorized_dag_ids(user=user, method="GET")

    return Depends(read)


def dag_ids_with_xcom(keys: frozenset[str]) -> list[str]:
    """Return the DAGs whose tasks have pushed an XCom with one of these keys, by an index of Airflow's.

    :param keys: the XComs' keys.
    """
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        found = session.scalars(select(XComModel.dag_id).where(XComModel.key.in_(keys)).distinct())
        return sorted(found)


def newest_runs(dag_id: str, *, run_id: str | None, offset: int, limit: int) -> list[Any]:
    """Return runs of a DAG, the newest first.

    :param dag_id: the DAG.
    :param run_id: only this run; None means all.
    :param offset: how many to leave out.
    :param limit: how many to return at most.
    """
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    query = select(DagRun).where(DagRun.dag_id == dag_id)
    if run_id is not None:
        query = query.where(DagRun.run_id == run_id)
    query = query.order_by(DagRun.run_after.desc(), DagRun.id.desc()).offset(offset).limit(limit)
    with create_session() as session:
        runs = list(session.scalars(query))
        session.expunge_all()
    return runs


def xcom_times(dag_run_ids: list[int], keys: frozenset[str]) -> list[Any]:
    """Return when each XCom of some runs was pushed, as :func:`xcom_values` chooses them, without its value.

    :param dag_run_ids: the runs' keys in Airflow's database.
    :param keys: the XComs' keys.
    """
    from airflow.models.xcom import XComModel

    return _xcoms(dag_run_ids, keys, XComModel.dag_run_id, XComModel.task_id, XComModel.timestamp)


def xcom_values(dag_run_ids: list[int], keys: frozenset[str]) -> list[Any]:
    """Return the XComs of some runs, by run and task, of the tasks whose last attempt has ended.

    Each row has ``dag_run_id``, ``task_id``, ``map_index``, ``key`` and ``value``. A value is what is stored:
    JSON, or what a custom XCom backend makes of it, which is not called.

    :param dag_run_ids: the runs' keys in Airflow's database.
    :param keys: the XComs' keys.
    """
    from airflow.models.xcom import XComModel as X

    return _xcoms(dag_run_ids, keys, X.dag_run_id, X.task_id, X.map_index, X.key, X.value)


def _xcoms(dag_run_ids: list[int], keys: frozenset[str], *columns: Any) -> list[Any]:
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    # A task that was cleared keeps its XComs until it runs again, and keeps them if it never does.
    query = select(*columns).join(XComModel.task).where(TaskInstance.state.in_(_ATTEMPT_ENDED))
    query = query.where(XComModel.dag_run_id.in_(dag_run_ids), XComModel.key.in_(keys))
    query = query.order_by(XComModel.dag_run_id, XComModel.task_id, XComModel.map_index, XComModel.key)
    with create_session() as session:
        return list(session.execute(query))
