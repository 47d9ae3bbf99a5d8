"""Retrain abalone on the data that drift, and bring a better model to production: an Airflow DAG."""

from datetime import timedelta
from pathlib import Path

from sagemaker_pipelines import (
    Approval,
    Champion,
    Partitions,
    SageMakerPromoteOperator,
    model_monitor_asset,
    sagemaker_pipeline_dag,
    task_value,
)

DEFINITION = Path(__file__).parent / "definitions" / "abalone.json"
DATA = "s3://{artifact_bucket}/{name_prefix}abalone/data"
DRIFT = model_monitor_asset(
    "abalone-drift", reports="s3://example-ml-artifacts/monitoring/abalone/", unmatched="delete"
)

with sagemaker_pipeline_dag(
    "retrain_on_drift",
    definition=DEFINITION,
    schedule=[DRIFT],
    inputs={"InputData": Partitions(f"{DATA}/train/dt={{date}}/")},
    champion=Champion(group="{name_prefix}abalone", holdout=f"{DATA}/labelled/holdout.csv", margin=0.1),
    approval=Approval(timeout=timedelta(days=3)),
) as dag:
    dag.get_task("approve_model") >> SageMakerPromoteOperator(
        task_id="promote",
        definition=DEFINITION,
        target_conn_id="aws_production",
        model_package_arn=task_value("approve_model", "model_package_arn", key="decision"),
        # Somebody has approved this model: production scores with it, and its registry says who.
        approval_status="Approved",
    )
