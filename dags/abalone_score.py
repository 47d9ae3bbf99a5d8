"""### Score raw abalone rows with a registered model package.

`abalone_train` triggers this DAG with the package that it has registered. When you trigger it by hand, an
empty `ModelPackageArn` means the champion, which is the newest Approved package, and an empty `OutputPrefix`
means a new prefix for the run.
"""

import json
from pathlib import Path
from typing import Any

from airflow.sdk import Param, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException

from sagemaker_pipelines import (
    SageMakerPipelineHook,
    model_package_to_score_with,
    read_gate,
    sagemaker_pipeline_dag,
    task_value,
)
from sagemaker_pipelines.exceptions import ModelPackageError


@task
def choose_inputs() -> dict[str, str]:
    """Return the parameters that the form leaves open, and why this model package was chosen."""
    context = get_current_context()
    params, run_id = context["params"], context["run_id"]
    hook = SageMakerPipelineHook()
    settings = hook.settings
    try:
        chosen = model_package_to_score_with(
            hook.client, f"{settings.name_prefix}abalone", params["ModelPackageArn"]
        )
    except ModelPackageError as error:
        raise AirflowFailException(str(error)) from error
    hook.log.info("%s", chosen.reason)
    prefix = f"s3://{settings.artifact_bucket}/{settings.name_prefix}scoring/runs/{run_id}"
    return {
        "ModelPackageArn": chosen.arn,
        "OutputPrefix": params["OutputPrefix"] or prefix,
        "reason": chosen.reason,
    }


@task
def check_report(pipeline_execution_arn: str) -> dict[str, Any]:
    """Return where the predictions are and how many, after checking that there is one for each row."""
    client = SageMakerPipelineHook().client
    uri = read_gate(client, pipeline_execution_arn).report_uri
    report = json.loads(client.read_object(uri))
    if report["rows_in"] == 0 or report["rows_out"] != report["rows_in"]:
        raise AirflowFailException(
            f"{uri} counts {report['rows_in']} rows and {report['rows_out']} predictions; expected at least "
            "one row, and one prediction for each row. Check the log of the transform job."
        )
    return {"predictions": report["predictions_uri"], "rows": report["rows_out"]}


with sagemaker_pipeline_dag(
    "abalone_score",
    definition=Path(__file__).parent / "definitions" / "scoring.json",
    params={
        "ModelPackageArn": Param(
            None,
            type=["null", "string"],
            title="ModelPackageArn",
            section="Model",
            description="If empty, the newest Approved package of the group abalone is used.",
        )
    },
    pipeline_params={name: task_value("choose_inputs", name) for name in ("ModelPackageArn", "OutputPrefix")},
    data_parameters=["BatchData"],
    # Missing predictions are a failure here, not a rejection.
    gate=False,
    rejection_steps=[],
) as dag:
    choose_inputs() >> dag.get_task("start_pipeline")
    dag.get_task("wait_for_pipeline") >> check_report(task_value("start_pipeline"))
