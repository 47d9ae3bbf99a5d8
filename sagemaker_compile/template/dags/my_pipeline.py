"""Train my-pipeline every day, and tell if its model was rejected: an Airflow DAG.

Airflow only reads files whose text contains the words airflow and dag.
"""

from datetime import UTC, datetime
from pathlib import Path

from sagemaker_pipelines import sagemaker_pipeline_dag

dag = sagemaker_pipeline_dag(
    "my_pipeline",
    definition=Path(__file__).parent / "definitions" / "my-pipeline.json",
    schedule="@daily",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
)
