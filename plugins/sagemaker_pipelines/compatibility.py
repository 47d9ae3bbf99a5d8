"""Which Airflow this package runs with."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, version

OLDEST_AIRFLOW = (3, 3)


def require_airflow() -> None:
    """Check that the installed Airflow is new enough; none at all is right for ``definition`` alone.

    The metadata is read, not Airflow itself: an older one lacks names that are imported first.

    :raises RuntimeError: Airflow is older than 3.3; of this type, as the Amazon provider's own check.
    """
    installed = _installed_airflow()
    if installed is None:
        return
    numbers = re.findall(r"\d+", installed)[:2]
    if tuple(map(int, numbers)) < OLDEST_AIRFLOW:
        raise RuntimeError(
            f"sagemaker_pipelines needs Apache Airflow {OLDEST_AIRFLOW[0]}.{OLDEST_AIRFLOW[1]} or newer, and "
            f"{installed} is installed: it has no task state store, with which a retry finds the execution "
            "that an earlier try started. Upgrade Airflow, or on MWAA choose a newer environment version."
        )


def _installed_airflow() -> str | None:
    for name in ("apache-airflow-core", "apache-airflow"):
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return None
