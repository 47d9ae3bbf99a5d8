"""Score in production as soon as a model is approved there: an Airflow DAG."""

from pathlib import Path

from airflow.sdk import get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

from sagemaker_pipelines import (
    SageMakerPipelineHook,
    model_package_asset,
    model_package_to_score_with,
    sagemaker_pipeline_dag,
    task_value,
)

CONNECTION = {"aws_conn_id": "aws_production"}


@task
def choose_inputs(events: list[dict[str, str]]) -> dict[str, str]:
    """Return the champion, and a new prefix for the predictions."""
    hook = SageMakerPipelineHook(**CONNECTION)
    chosen = model_package_to_score_with(hook.client, f"{hook.settings.name_prefix}abalone")
    if events and chosen.arn not in {event["model_package_arn"] for event in events}:
        raise AirflowSkipException(f"The run of the event that approved {chosen.arn} scores with it.")
    prefix = f"s3://{hook.settings.artifact_bucket}/{hook.settings.name_prefix}scoring/runs"
    return {"ModelPackageArn": chosen.arn, "OutputPrefix": f"{prefix}/{get_current_context()['run_id']}"}


with sagemaker_pipeline_dag(
    "score_approved",
    definition=Path(__file__).parent / "definitions" / "scoring.json",
    schedule=[model_package_asset("abalone-packages", model_package_group_name="prod-abalone", **CONNECTION)],
    default_args=CONNECTION,
    pipeline_params={name: task_value("choose_inputs", name) for name in ("ModelPackageArn", "OutputPrefix")},
    gate=False,
    rejection_steps=[],
) as dag:
    choose_inputs(dag.get_task("select_events").output) >> dag.get_task("start_pipeline")
