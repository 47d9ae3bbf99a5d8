"""Airflow DAGs of one definition, with and without mirrors of its steps; the benchmark writes it."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sagemaker_pipelines import sagemaker_pipeline_dag

DEFINITION = Path(__file__).parent / "graph.json"
OPTIONS: dict[str, Any] = {
    "definition": DEFINITION,
    "notifier": None,
    "dag_options": {"max_active_runs": 30},
    "start_date": datetime(2026, 1, 1, tzinfo=UTC),
}

if DEFINITION.exists():
    mirrored = sagemaker_pipeline_dag("mirrored", **OPTIONS)
    plain = sagemaker_pipeline_dag("plain", mirror_steps=False, **OPTIONS)
