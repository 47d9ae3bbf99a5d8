"""Start an execution that does nothing and wait for it, to measure Airflow's own share of a backfill."""

from datetime import UTC, datetime

from airflow.sdk import DAG, CronDataIntervalTimetable

from sagemaker_pipelines import SageMakerPipelineExecutionSensor, SageMakerStartPipelineExecutionOperator

with DAG(
    "condition",
    schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
):
    start = SageMakerStartPipelineExecutionOperator(
        task_id="start", pipeline_name="condition", quota_retry_delay=2
    )
    start >> SageMakerPipelineExecutionSensor(
        task_id="wait", pipeline_exec_arn="{{ ti.xcom_pull('start') }}", deferrable=True, poke_interval=2
    )
