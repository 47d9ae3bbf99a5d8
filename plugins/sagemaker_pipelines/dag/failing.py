"""The notification of a task that failed."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sagemaker_pipelines.dag.gating import LINKS, Notifier
from sagemaker_pipelines.dag.results import Billed
from sagemaker_pipelines.notifications.sending import send
from sagemaker_pipelines.task.values import task_value

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)


def default_args(notifier: Notifier | None, given: Mapping[str, Any] | None) -> Any:
    """Return the default_args of a DAG or task group, which notify of a failure.

    :param notifier: see :func:`notify_failure`; None disables notifications.
    :param given: additional default_args.
    """
    failure = {} if notifier is None else {"on_failure_callback": notify_failure(notifier)}
    return {**failure, **(given or {})}


def notify_failure(notifier: Notifier) -> Any:
    """Return the callback for the failure of any task in the DAG or task group of the start.

    :param notifier: makes a notifier from ``subject`` and ``message``.
    """
    return _FailureCallback(
        notifier(
            subject="{{ dag.dag_id }} failed in {{ ti.task_id }}",
            message="{{ dag.dag_id }} failed in {{ ti.task_id }}: {{ exception }}\n" + LINKS,
        )
    )


@dataclass(frozen=True)
class _FailureCallback:
    """Sends a notification for each failure; Airflow gives all tasks the same callback.

    :param notifier: the notifier; its templates may read ``values.execution``, the ARN, and
        ``values.billed``, what it bills if the wait has pushed its record.
    """

    notifier: Any

    def __call__(self, context: Context) -> None:
        send(self.notifier, {**context, "values": _values_of_failure(context)})


def _values_of_failure(context: Context) -> dict[str, Any]:
    """Return the execution of the failed task's group, and in a mapped group that of the same instance."""
    values: dict[str, Any] = {"execution": None, "billed": None}
    group: Any = context["task"].task_group

    def full_id(name: str) -> str:
        return str(group.child_id(name)) if group is not None else name

    try:
        values["execution"] = task_value(full_id("start_pipeline"), otherwise=None).resolve(context)
        values["billed"] = Billed(full_id("wait_for_pipeline")).resolve(context)
    except Exception as error:
        # A notification without these lines is better than none.
        log.warning("The notification cannot name the execution: %s", error)
    return values
