"""Values that a task reads from its run in Python, so that no name ever becomes part of a template.

Airflow resolves them when it renders templates, in any templated argument, and shows the results among the
rendered fields.
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
    """Return the value of a field of the trigger form, with its type, for use instead of a template.

    :param name: the field, which may have any name.
    :param otherwise: the value of an empty or missing field, default None.
    """
    return _FormValue(name, otherwise)


def task_value(
    task_id: str, entry: str | None = None, *, key: str = "return_value", otherwise: Any = _REQUIRED
) -> Any:
    """Return what an earlier task of the DAG run pushed to XCom, for use instead of a template.

    This does not create a dependency: use ``>>`` so that the other task runs first.

    :param task_id: the full id of the task, with the ids of its groups (``task.task_id``).
    :param entry: the entry of a dictionary to return; None, the default, returns the whole value.
    :param key: the XCom's key, default the task's return value.
    :param otherwise: the value to use if there is none; by default the task fails with a ValueError.
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
    # The text of its default differs at each parse, and this text is part of the serialized DAG.
    otherwise: Any = field(repr=False)

    def resolve(self, context: Context) -> Any:
        try:
            # The XComArg knows which instance to read in a mapped task group.
            value = XComArg(context["dag"].get_task(self.task_id), self.key).resolve(context)
        except XComNotFound:
            value = None
        if self.entry is not None:
            value = (value or {}).get(self.entry)
        if value is not None:
            return value
        if self.otherwise is _REQUIRED:
            raise ValueError(
                f"The task {self.task_id!r} has not pushed {self.entry or self.key!r} to XCom; expected a "
                "value from its last attempt in this DAG run. Clear that task, so that it runs again."
            )
        return self.otherwise
