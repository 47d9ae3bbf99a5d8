"""DAGs for Airflow's end-to-end tests whose executions run no job: one decides, one waits for an answer."""

from datetime import UTC, datetime
from pathlib import Path

from airflow.sdk import DAG

from sagemaker_pipelines import Partitions, SageMakerStartPipelineExecutionOperator, sagemaker_pipeline_dag

FOLDER = "s3://{artifact_bucket}/{name_prefix}partitioned"

partitioned = sagemaker_pipeline_dag(
    "partitioned",
    definition=Path(__file__).parent / "definitions" / "partitioned.json",
    schedule="@daily",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    inputs={"InputData": Partitions(f"{FOLDER}/data/dt={{date}}/")},
    outputs={"OutputPrefix": Partitions(f"{FOLDER}/runs/dt={{date}}")},
    if_missing="skip",
    gate=False,
    notifier=None,
)

# The connection's environment has max_executing.
with DAG("limited", schedule=None, default_args={"retries": 2}) as limited:
    SageMakerStartPipelineExecutionOperator(
        task_id="start",
        aws_conn_id="aws_limited",
        pipeline_name="limited-hold",
        wait_for_completion=True,
        deferrable=True,
        check_interval=2,
        quota_retry_delay=3,
    )
