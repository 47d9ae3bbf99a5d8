"""Train when a new partition arrives in S3, and log how the executions of others end."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, task

from sagemaker_pipelines import (
    SageMakerStartPipelineExecutionOperator,
    SelectNewEventsOperator,
    pipeline_execution_asset,
    s3_partition_asset,
)

# One queue for each Airflow asset: docs/events.md explains why.
DATA = s3_partition_asset(
    "abalone-data",
    uri_prefix="s3://example-ml-artifacts/abalone/data/train/",
    uri_suffix="/_SUCCESS",
    unmatched="delete",
)
TRAINED = pipeline_execution_asset(
    "abalone-executions", pipeline_name="abalone", statuses=["Succeeded", "Failed"], unmatched="delete"
)

with DAG("train_on_new_data", schedule=[DATA], max_active_runs=1):
    events = SelectNewEventsOperator(task_id="select_events", assets=[DATA])

    @task
    def partitions(events: list[dict[str, Any]]) -> list[dict[str, str]]:
        """Return the parameters of one execution per partition: a run may have several events."""
        uris = sorted({event["partition_uri"] for event in events})
        return [{"InputData": uri} for uri in uris]

    SageMakerStartPipelineExecutionOperator.partial(
        task_id="train", pipeline_name="abalone", wait_for_completion=True, deferrable=True
    ).expand(pipeline_params=partitions(events.output))  # type: ignore[arg-type]

with DAG("look_at_executions", schedule=[TRAINED], max_active_runs=1):

    @task
    def log_executions(events: list[dict[str, Any]]) -> None:
        """Log how each execution has ended."""
        for event in events:
            print(event["pipeline_execution_arn"], event["status"], event.get("failure_reason", ""))

    log_executions(SelectNewEventsOperator(task_id="select_events", assets=[TRAINED]).output)  # type: ignore[arg-type]
