"""A DAG whose execution is one quick Processing step; Airflow starts one for each day's partition."""

from datetime import UTC, datetime

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, CronDataIntervalTimetable

from sagemaker_pipelines import SageMakerMetricBranchOperator, SageMakerStartPipelineExecutionOperator

BUCKET = "s3://sagemaker-us-east-1-123456789012"

with DAG(
    "light",
    schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    params={"Factor": 1.0, "Seconds": 8},
    default_args={"retries": 2},
):
    start = SageMakerStartPipelineExecutionOperator(
        task_id="start",
        pipeline_name="light",
        pipeline_params={
            "InputData": f"{BUCKET}/abalone/data/train/dt={{{{ ds }}}}/",
            "OutputPrefix": f"{BUCKET}/light/dt={{{{ ds }}}}",
            "Factor": "{{ params.Factor }}",
            "Seconds": "{{ params.Seconds }}",
        },
        wait_for_completion=True,
        deferrable=True,
        check_interval=3,
        quota_retry_delay=4,
    )
    branch = SageMakerMetricBranchOperator(
        task_id="branch",
        pipeline_execution_arn="{{ ti.xcom_pull('start', key='pipeline_execution_arn') }}",
        accepted="accepted",
        rejected="rejected",
        result_uri=f"{BUCKET}/light/results/{{{{ ds }}}}.json",
    )
    start >> branch >> [EmptyOperator(task_id="accepted"), EmptyOperator(task_id="rejected")]
