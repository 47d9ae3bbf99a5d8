"""Airflow DAGs with a gate on a tuning job's best metric, and on what a function returns."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from sagemaker_pipelines import sagemaker_pipeline_dag

HERE = Path(__file__).parent
OPTIONS: dict[str, Any] = {
    "notifier": None,
    # Under load, Airflow may fail a task whose trigger fires soon.
    "retries": 2,
    "default_args": {"retry_delay": timedelta(seconds=1)},
}

tuned = sagemaker_pipeline_dag("tuned", definition=HERE / "definitions" / "tuned.json", **OPTIONS)
judged = sagemaker_pipeline_dag("judged", definition=HERE / "definitions" / "judged.json", **OPTIONS)
