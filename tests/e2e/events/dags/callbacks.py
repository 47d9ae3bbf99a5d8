"""Airflow DAGs that work for Callback steps: one holds until it is stopped, one passes its deadline."""

import time
from datetime import timedelta

from airflow.sdk import Param, task

from sagemaker_pipelines import sagemaker_callback_dag


@task
def hold() -> None:
    """Work for longer than any test takes."""
    time.sleep(3600)


with sagemaker_callback_dag(
    "hold",
    queue="hold",
    retries=0,
    waiter_delay=2,
    params={"number": Param(1, type="integer")},
    unmatched="delete",
):
    hold()

with sagemaker_callback_dag("late", queue="late", timeout=timedelta(seconds=20), unmatched="delete"):
    hold()
