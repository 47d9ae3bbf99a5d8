"""Train a challenger every week, compare it with the champion, and let a person decide before it is scored.

Airflow treats a file as a DAG file only if its text contains the words airflow and dag.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from sagemaker_pipelines import Approval, Champion, sagemaker_pipeline_dag

dag = sagemaker_pipeline_dag(
    "abalone_challenger",
    definition=Path(__file__).parent / "definitions" / "abalone.json",
    schedule="@weekly",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    data_parameters=["InputData", "BatchData"],
    champion=Champion(
        group="{name_prefix}abalone",
        holdout="s3://{artifact_bucket}/{name_prefix}abalone/data/labelled/holdout.csv",
        margin=0.1,
    ),
    approval=Approval(timeout=timedelta(days=3)),
    scoring_dag="abalone_score",
)
