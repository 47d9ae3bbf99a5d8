"""Which Airflow this is: a random id in Airflow's own database.

Two deployments in one AWS account may well have equal DAG, run and task ids. Executions carry the id in
their description, so that the orphan sweep of one deployment leaves the other's alone. A reset database
has a new id; a copied one must be given a new id, see docs/sweep.md.
"""

from __future__ import annotations

import logging
import secrets
from typing import TYPE_CHECKING

from airflow.sdk import Variable

if TYPE_CHECKING:
    from airflow.sdk import Context

#: The Airflow variable that holds the id.
VARIABLE = "sagemaker_pipelines_deployment_id"
_DESCRIPTION = "Marks the SageMaker executions of this Airflow; see docs/sweep.md. Delete it in a copy."

log = logging.getLogger(__name__)


def deployment_id(context: Context) -> str | None:
    """Return this Airflow's id, and make one where there is none yet.

    :param context: the running task's.
    :return: the id; None where Airflow's variables cannot be reached: no start fails for that.
    """
    accessor = context.get("var")
    if accessor is None:
        return None
    variables = accessor["value"]
    try:
        known = variables.get(VARIABLE, None)
        if known is None:
            Variable.set(VARIABLE, secrets.token_hex(8), description=_DESCRIPTION)
            # Another task may have been the last to write: what is stored counts.
            known = variables.get(VARIABLE, None)
    except Exception as error:
        log.warning(
            "The variable %s cannot be read or written (%s). The orphan sweep will take what is started "
            "here for another deployment's once its run is deleted.",
            VARIABLE,
            error,
        )
        return None
    return str(known) if known else None
