"""Airflow DAGs of one call, whose steps the tests fail, hold and stop."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sagemaker_pipelines import sagemaker_pipeline_dag

HERE = Path(__file__).parent
OPTIONS: dict[str, Any] = {
    "gate": False,
    "notifier": None,
    # One for the wait's resume, and one for Airflow: under load it may fail a task whose trigger fires soon.
    "retries": 2,
    "default_args": {"retry_delay": timedelta(seconds=1)},
    "start_date": datetime(2026, 1, 1, tzinfo=UTC),
}

mirrored = sagemaker_pipeline_dag("mirrored", definition=HERE / "mirrored.json", schedule="@daily", **OPTIONS)
tolerant = sagemaker_pipeline_dag(
    "tolerant", definition=HERE / "tolerant.json", tolerated_failures=["Work"], **OPTIONS
)

selective = sagemaker_pipeline_dag(
    "selective", definition=HERE / "mirrored.json", params={"Source": ""}, **OPTIONS
)
start: Any = selective.get_task("start_pipeline")
start.selected_steps = ["Ask"]
start.source_execution_arn = "{{ params.Source }}"
