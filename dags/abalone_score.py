"""### Score raw abalone rows with a registered model package.

`abalone_train` triggers this with the package that it has registered. Triggered by hand, an empty
`ModelPackageArn` takes the newest Approved package, and an empty `OutputPrefix` a prefix of the run's own.
"""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Param, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException

from sagemaker_pipelines import (
    Envelope,
    SageMakerPipelineExecutionSensor,
    SageMakerPipelineHook,
    SageMakerSnsNotifier,
    SageMakerStartPipelineExecutionOperator,
    SageMakerUpsertPipelineOperator,
    form_params,
    form_values,
)

DEFINITION = Path(__file__).parent / "definitions" / "scoring.json"
PARAMETERS = Envelope.load(DEFINITION).parameters

EXECUTION_ARN = "{{ ti.xcom_pull('start_pipeline') }}"

with DAG(
    "abalone_score",
    description="Score raw abalone rows with a registered model package",
    doc_md=__doc__,
    schedule=None,
    params=form_params(PARAMETERS)
    | {
        "ModelPackageArn": Param(
            None,
            type=["null", "string"],
            title="ModelPackageArn",
            description="Empty takes the newest Approved package of the group abalone.",
        )
    },
    default_args={
        "retries": 2,
        "on_failure_callback": SageMakerSnsNotifier(
            subject="{{ dag.dag_id }} failed in {{ ti.task_id }}",
            message="{{ dag.dag_id }} failed in {{ ti.task_id }}: {{ exception }}\n"
            "Run: {{ dag_run.run_id }}\nAirflow: {{ ti.log_url }}\n",
        ),
    },
    tags=["abalone", "score"],
):

    @task
    def choose_inputs() -> dict[str, str]:
        """Return the parameters that the form leaves open."""
        context = get_current_context()
        params, run_id = context["params"], context["run_id"]
        hook = SageMakerPipelineHook()
        settings = hook.settings
        group = f"{settings.name_prefix}abalone"
        package = params["ModelPackageArn"] or hook.newest_approved_model_package(group)
        if package is None:
            raise AirflowFailException(
                f"The group {group} has no Approved model package: approve one, or give ModelPackageArn."
            )
        prefix = f"s3://{settings.artifact_bucket}/{settings.name_prefix}scoring/runs/{run_id}"
        return {"ModelPackageArn": package, "OutputPrefix": params["OutputPrefix"] or prefix}

    upsert_pipeline = SageMakerUpsertPipelineOperator(task_id="upsert_pipeline", definition=DEFINITION)

    start_pipeline = SageMakerStartPipelineExecutionOperator(
        task_id="start_pipeline",
        pipeline_name="{{ ti.xcom_pull('upsert_pipeline')['pipeline_name'] }}",
        pipeline_version_id="{{ ti.xcom_pull('upsert_pipeline')['pipeline_version_id'] }}",
        definition=DEFINITION,
        pipeline_params=form_values(PARAMETERS)
        | {
            "ModelPackageArn": "{{ ti.xcom_pull('choose_inputs')['ModelPackageArn'] }}",
            "OutputPrefix": "{{ ti.xcom_pull('choose_inputs')['OutputPrefix'] }}",
        },
        data_parameters=("BatchData",),
    )

    wait_for_pipeline = SageMakerPipelineExecutionSensor(
        task_id="wait_for_pipeline",
        pipeline_exec_arn=EXECUTION_ARN,
        # Missing predictions are a failure here, no rejection.
        rejection_steps=[],
        deferrable=True,
        timeout=timedelta(hours=6).total_seconds(),
    )

    @task
    def check_report(pipeline_execution_arn: str) -> dict[str, Any]:
        """Return where the predictions are and how many, once there is one for each row."""
        hook = SageMakerPipelineHook()
        uri = hook.read_gate(pipeline_execution_arn).report_uri
        report = json.loads(hook.read_object(uri))
        if report["rows_in"] == 0 or report["rows_out"] != report["rows_in"]:
            raise AirflowFailException(
                f"{uri} counts {report['rows_in']} rows and {report['rows_out']} predictions; expected one "
                "for each row, and at least one."
            )
        return {"predictions": report["predictions_uri"], "rows": report["rows_out"]}

    [choose_inputs(), upsert_pipeline] >> start_pipeline >> wait_for_pipeline >> check_report(EXECUTION_ARN)
