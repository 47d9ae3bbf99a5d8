"""Train abalone every week, and compare each new model with the champion: an Airflow DAG."""

from datetime import UTC, datetime
from pathlib import Path

from sagemaker_pipelines import Champion, sagemaker_pipeline_dag

dag = sagemaker_pipeline_dag(
    "abalone_champion",
    definition=Path(__file__).parent / "definitions" / "abalone.json",
    schedule="@weekly",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    data_parameters=["InputData", "BatchData"],
    champion=Champion(
        group="{name_prefix}abalone",
        holdout="s3://{artifact_bucket}/{name_prefix}abalone/data/labelled/holdout.csv",
        # A new model has to be better by 0.1 rings squared, and not by chance.
        margin=0.1,
    ),
)
