"""What a run of a backfill does otherwise than a scheduled or a manual one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow.sdk import Context

BACKFILL = "backfill"


def is_backfill(context: Context) -> bool:
    """Return whether the task's run belongs to a backfill.

    :param context: the running task's.
    """
    run = context.get("dag_run")
    return run is not None and str(getattr(run.run_type, "value", run.run_type)) == BACKFILL


def with_backfill_values(
    context: Context, values: Mapping[str, object], in_backfill: Mapping[str, object]
) -> dict[str, object]:
    """Return the values of a run, some of which are others in a backfill.

    :param context: the running task's.
    :param values: what any run has.
    :param in_backfill: what takes their place in a backfill.
    """
    return {**values, **in_backfill} if is_backfill(context) else dict(values)
