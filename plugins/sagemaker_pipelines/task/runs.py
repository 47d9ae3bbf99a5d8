"""The kind of a run, and the values that it was triggered with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sagemaker_pipelines.exceptions import ParameterError
from sagemaker_pipelines.messages import listed

if TYPE_CHECKING:
    from airflow.sdk import Context

BACKFILL = "backfill"
#: The field of the trigger form that lets a backfill register, notify and trigger too.
REGISTER_IN_BACKFILL = "RegisterInBackfill"


def is_backfill(context: Context) -> bool:
    """Return whether the task's run belongs to a backfill.

    :param context: the running task's context.
    """
    run = context.get("dag_run")
    return run is not None and str(getattr(run.run_type, "value", run.run_type)) == BACKFILL


def with_backfill_values(
    context: Context, values: Mapping[str, object], in_backfill: Mapping[str, object]
) -> dict[str, object]:
    """Return the values of a run, some of which differ in a backfill.

    :param context: the running task's context.
    :param values: the values of every run.
    :param in_backfill: the values that replace them in a backfill, unless its form asks to register.
    """
    registers = (context.get("params") or {}).get(REGISTER_IN_BACKFILL)
    return {**values, **in_backfill} if is_backfill(context) and not registers else dict(values)


def check_conf(context: Context) -> None:
    """Refuse a run that was triggered with a name that its form does not have, such as a misspelt one.

    Airflow checks the values of the form's fields, but silently accepts any other name.

    :param context: the running task's context.
    :raises ParameterError: the run has unknown names; the message lists them and the form's fields.
    """
    fields = {*context["dag"].params, *context["task"].params}
    unknown = sorted(set(context["dag_run"].conf or {}) - fields)
    if unknown:
        raise ParameterError(
            f"The run was triggered with {listed(unknown)}, which the form does not have. Its fields are "
            f"{', '.join(sorted(fields))}. Trigger the run again with these names."
        )
