"""Values that a task takes from its run in Python, so that no name ever becomes part of a template.

Airflow resolves them as it renders templates, in any templated argument, and shows what they resolved to
among the rendered fields.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import XComNotFound
from airflow.sdk import XComArg

if TYPE_CHECKING:
    from airflow.sdk import Context

_REQUIRED: Any = object()


def form_value(name: str, *, otherwise: Any = None) -> Any:
    """Take the value of a field of the trigger form, with its type, where a template could stand.

    :param name: the field, which may have any name.
    :param otherwise: what an empty or missing field gives, default None.
    """
    return _FormValue(name, otherwise)


def task_value(
    task_id: str, entry: str | None = None, *, key: str = "return_value", otherwise: Any = _REQUIRED
) -> Any:
    """Take what an earlier task of the DAG run has pushed to XCom, where a template could stand.

    It makes no dependency: say with ``>>`` that the other task comes first.

    :param task_id: the whole id of the task, with those of its groups (``task.task_id``).
    :param entry: take one entry of a dictionary; None, the default, takes the whole value.
    :param key: the XCom's key, default the task's return value.
    :param otherwise: what stands in where there is no such value; by default the task fails with a
        ValueError.
    """
    return _TaskValue(task_id, entry, key, otherwise)


@dataclass(frozen=True)
class _FormValue:
    name: str
    otherwise: Any

    def resolve(self, context: Context) -> Any:
        value = context["params"].get(self.name)
        return self.otherwise if value is None else value


@dataclass(frozen=True)
class _TaskValue:
    task_id: str
    entry: str | None
    key: str
    # Its default has another text at each parse, and this text is a part of the serialized DAG.
    otherwise: Any = field(repr=False)

    def resolve(self, context: Context) -> Any:
        try:
            # The XComArg knows which instance to ask in a mapped task group.
            value = XComArg(context["dag"].get_task(self.task_id), self.key).resolve(context)
        except XComNotFound:
            value = None
        if self.entry is not None:
            value = (value or {}).get(self.entry)
        if value is not None:
            return value
        if self.otherwise is _REQUIRED:
            raise ValueError(
                f"The task {self.task_id!r} has pushed no {self.entry or self.key!r} to XCom; expected a "
                "value from its last attempt in this DAG run. Clear that task, so that it runs again."
            )
        return self.otherwise
