"""Train when a partition arrives, and log how executions end: Airflow DAGs with a queue for each asset."""

from typing import Any

from airflow.sdk import DAG, task

from sagemaker_pipelines import (
    SageMakerStartPipelineExecutionOperator,
    SelectNewEventsOperator,
    pipeline_execution_asset,
    s3_partition_asset,
)

TRAIN = "s3://example-ml-artifacts/abalone/data/train/"
DATA = s3_partition_asset("abalone-data", uri_prefix=TRAIN, uri_suffix="/_SUCCESS", unmatched="delete")
TRAINED = pipeline_execution_asset(
    "abalone-executions", pipeline_name="abalone", statuses=["Succeeded", "Failed"], unmatched="delete"
)


@task
def partitions(events: list[dict[str, Any]]) -> list[dict[str, str]]:  # one run may have several events
    return [{"InputData": uri} for uri in sorted({event["partition_uri"] for event in events})]


@task
def log_executions(events: list[dict[str, Any]]) -> None:
    for event in events:
        print(event["pipeline_execution_arn"], event["status"], event.get("failure_reason", ""))


with DAG("train_on_new_data", schedule=[DATA], max_active_runs=1):
    arrived = SelectNewEventsOperator(task_id="select_events", assets=[DATA])
    SageMakerStartPipelineExecutionOperator.partial(
        task_id="train", pipeline_name="abalone", wait_for_completion=True, deferrable=True
    ).expand(pipeline_params=partitions(arrived.output))

with DAG("look_at_executions", schedule=[TRAINED], max_active_runs=1):
    log_executions(SelectNewEventsOperator(task_id="select_events", assets=[TRAINED]).output)
