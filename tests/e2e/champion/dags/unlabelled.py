"""An Airflow DAG whose holdout has no labels."""

from pathlib import Path

from sagemaker_pipelines import Champion, sagemaker_pipeline_dag

dag = sagemaker_pipeline_dag(
    "unlabelled",
    definition=Path(__file__).parent / "definitions" / "abalone.json",
    champion=Champion(
        group="{name_prefix}abalone",
        holdout="s3://{artifact_bucket}/{name_prefix}abalone/data/holdout/holdout.csv",
    ),
)
