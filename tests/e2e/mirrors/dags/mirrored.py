"""Airflow DAGs of one call, whose steps the tests fail, hold and stop."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sagemaker_pipelines import sagemaker_pipeline_dag

DEFINITION = Path(__file__).with_name("mirrored.json")
OPTIONS: dict[str, Any] = {
    "definition": DEFINITION,
    "gate": False,
    "notifier": None,
    "retries": 1,
    "default_args": {"retry_delay": timedelta(seconds=1)},
    "start_date": datetime(2026, 1, 1, tzinfo=UTC),
}

mirrored = sagemaker_pipeline_dag("mirrored", schedule="@daily", **OPTIONS)
tolerant = sagemaker_pipeline_dag("tolerant", tolerated_failures=["Work"], **OPTIONS)

selective = sagemaker_pipeline_dag("selective", params={"Source": ""}, **OPTIONS)
start: Any = selective.get_task("start_pipeline")
start.selected_steps = ["Ask"]
start.source_execution_arn = "{{ params.Source }}"
