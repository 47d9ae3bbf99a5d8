"""The identity of this Airflow: a random id in Airflow's own database.

Two Airflows in one AWS account may well use the same DAG, run and task ids. Executions carry the id in
their description, so that the orphan sweep of one Airflow leaves the executions of the other alone. A reset
database gets a new id; a copied one must be given a new id, see docs/sweep.md.
"""

from __future__ import annotations

import logging
import secrets
import time
from typing import TYPE_CHECKING, Any

from airflow.sdk import Variable

from sagemaker_pipelines.airflow_internals import variable_is_missing

if TYPE_CHECKING:
    from airflow.sdk import Context

#: The Airflow variable that holds the id.
VARIABLE = "sagemaker_pipelines_deployment_id"
# Longer than a task needs between reading that there is no id and writing one.
SETTLE_SECONDS = 6.0
_DESCRIPTION = "Marks the SageMaker executions of this Airflow; see docs/sweep.md. Delete it in a copy."

log = logging.getLogger(__name__)


def airflow_id(context: Context) -> str | None:
    """Return this Airflow's id, and create one if there is none yet.

    :param context: the running task's context.
    :return: the id; None if Airflow's variables cannot be read, because a start must not fail for that.
    """
    accessor = context.get("var")
    if accessor is None:
        return None
    try:
        known = _settled(accessor["value"])
        reason: object = "Airflow returns no value, but does not say that the variable does not exist"
    except Exception as error:
        # An execution without this mark is better than none.
        known, reason = None, error
    if known is None:
        log.warning(
            "The variable %s cannot be read or written (%s). Once the run is deleted, the orphan sweep will "
            "assume that another Airflow started its execution.",
            VARIABLE,
            reason,
        )
    return known


def _settled(variables: Any) -> str | None:
    """Return the id once nobody can replace it any longer.

    Airflow has no "set if missing": the first tasks of a new database may all find no id, and the last one
    to write wins. An id therefore carries the time when it was created, and is used only some seconds later,
    both by the task that created it and by every reader.
    """
    known = variables.get(VARIABLE, None)
    # A variable that cannot be read looks like a missing one, and writing would replace it for good.
    if known is None and variable_is_missing(VARIABLE):
        made = f"{secrets.token_hex(8)}-{int(time.time())}"
        Variable.set(VARIABLE, made, description=_DESCRIPTION)
    known = known or variables.get(VARIABLE, None)
    while known and (seconds := _seconds_to_settle(known)) > 0:
        log.info("Waiting %.0f s until the new id %s can no longer be replaced", seconds, known)
        time.sleep(seconds)
        known = variables.get(VARIABLE, None)
    return str(known) if known else None


def _seconds_to_settle(known: str) -> float:
    made = known.rpartition("-")[2]
    # An id that was set by hand carries no time, and nobody replaces it.
    return min(SETTLE_SECONDS, int(made) + SETTLE_SECONDS - time.time()) if made.isdecimal() else 0.0
