"""The versions of Airflow that this package runs with."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, version

OLDEST_AIRFLOW = (3, 3)


def require_airflow() -> None:
    """Check that the installed Airflow is new enough; ``definition`` alone works without any Airflow.

    This reads the metadata and does not import Airflow, because an older one lacks names that would be
    imported first.

    :raises RuntimeError: Airflow is older than 3.3; the Amazon provider's own check raises this type too.
    """
    installed = _installed_airflow()
    if installed is None:
        return
    numbers = re.findall(r"\d+", installed)[:2]
    if tuple(map(int, numbers)) < OLDEST_AIRFLOW:
        raise RuntimeError(
            f"sagemaker_pipelines needs Apache Airflow {OLDEST_AIRFLOW[0]}.{OLDEST_AIRFLOW[1]} or newer, but "
            f"{installed} is installed. It has no task state store, which a retry needs to find the "
            "execution that an earlier attempt started. Upgrade Airflow, or on MWAA choose a newer "
            "environment version."
        )


def _installed_airflow() -> str | None:
    for name in ("apache-airflow-core", "apache-airflow"):
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return None
