"""Train abalone every week, and let a person decide before a model is scored: an Airflow DAG."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from sagemaker_pipelines import Approval, sagemaker_pipeline_dag

dag = sagemaker_pipeline_dag(
    "abalone_approval",
    definition=Path(__file__).parent / "definitions" / "abalone.json",
    schedule="@weekly",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    data_parameters=["InputData", "BatchData"],
    scoring_dag="abalone_score",
    # Without an answer in three days, the model stays pending and nothing is scored.
    approval=Approval(timeout=timedelta(days=3)),
)
