"""An auth manager in which one user may not read the DAG ``train``."""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

OUTSIDER = "outsider"
HIDDEN = "train"


class OneHiddenDagAuthManager(SimpleAuthManager):
    """Airflow's simple auth manager, which has no rights on single DAGs, with one DAG hidden from a user."""

    def is_authorized_dag(
        self, *, method: Any, user: Any, access_entity: Any = None, details: Any = None
    ) -> bool:
        # Without an id, Airflow asks whether the user may read all DAGs.
        if user.username == OUTSIDER and (details is None or details.id in (None, HIDDEN)):
            return False
        return super().is_authorized_dag(
            method=method, user=user, access_entity=access_entity, details=details
        )
