"""Train abalone every day, and score with the new model if its error passes the threshold.

A scheduled or backfill run reads the partition of its day; a manual run reads the URI in its form.
Airflow treats a file as a DAG file only if its text contains the words airflow and dag.
"""

from datetime import UTC, datetime
from pathlib import Path

from sagemaker_pipelines import Partitions, sagemaker_pipeline_dag

ABALONE = "s3://{artifact_bucket}/{name_prefix}abalone"

dag = sagemaker_pipeline_dag(
    "abalone_train",
    definition=Path(__file__).parent / "definitions" / "abalone.json",
    schedule="@daily",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    inputs={"InputData": Partitions(f"{ABALONE}/data/train/dt={{date}}/")},
    outputs={"OutputPrefix": Partitions(f"{ABALONE}/runs/dt={{date}}")},
    result=Partitions(f"{ABALONE}/results/dt={{date}}/result.json"),
    data_parameters=["InputData", "BatchData"],
    scoring_dag="abalone_score",
    backfill_params={"RegisterModel": "false"},
)
