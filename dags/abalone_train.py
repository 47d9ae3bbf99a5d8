"""### Train abalone every day, and score with the new model if its error passes the threshold.

The definition in `definitions/abalone.json` is upserted, one execution of it is started, and the mean
squared error that it wrote to S3 decides what follows: scoring, a notification of the rejection, or a
notification that the model package awaits approval.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from airflow.sdk import DAG, CronDataIntervalTimetable

from sagemaker_pipelines import (
    Envelope,
    NotifyOperator,
    SageMakerMetricBranchOperator,
    SageMakerPipelineExecutionSensor,
    SageMakerSnsNotifier,
    SageMakerStartPipelineExecutionOperator,
    SageMakerUpsertPipelineOperator,
    TriggerDagRunOnceOperator,
    form_params,
    form_values,
)

DEFINITION = Path(__file__).parent / "definitions" / "abalone.json"
PARAMETERS = Envelope.load(DEFINITION).parameters

EXECUTION_ARN = "{{ ti.xcom_pull('start_pipeline') }}"
METRIC = "MSE {{ '%.4f' % ti.xcom_pull('branch_on_mse', key='metric') }}"
THRESHOLD = "threshold {{ '%g' % ti.xcom_pull('branch_on_mse', key='threshold') }}"
MODEL_PACKAGE = "{{ ti.xcom_pull('branch_on_mse', key='model_package_arn') or '' }}"
LINKS = f"""
Run: {{{{ dag_run.run_id }}}}
Execution: {EXECUTION_ARN}
Airflow: {{{{ ti.log_url }}}}
"""

with DAG(
    "abalone_train",
    description="Train abalone, branch on the MSE, score or notify",
    doc_md=__doc__,
    schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    params=form_params(PARAMETERS),
    default_args={
        "retries": 2,
        "on_failure_callback": SageMakerSnsNotifier(
            subject="{{ dag.dag_id }} failed in {{ ti.task_id }}",
            message="{{ dag.dag_id }} failed in {{ ti.task_id }}: {{ exception }}\n" + LINKS,
        ),
    },
    tags=["abalone", "train"],
):
    upsert_pipeline = SageMakerUpsertPipelineOperator(task_id="upsert_pipeline", definition=DEFINITION)

    start_pipeline = SageMakerStartPipelineExecutionOperator(
        task_id="start_pipeline",
        pipeline_name="{{ ti.xcom_pull('upsert_pipeline')['pipeline_name'] }}",
        pipeline_version_id="{{ ti.xcom_pull('upsert_pipeline')['pipeline_version_id'] }}",
        definition=DEFINITION,
        pipeline_params=form_values(PARAMETERS),
        data_parameters=("InputData", "BatchData"),
    )

    wait_for_pipeline = SageMakerPipelineExecutionSensor(
        task_id="wait_for_pipeline",
        pipeline_exec_arn=EXECUTION_ARN,
        deferrable=True,
        timeout=timedelta(hours=6).total_seconds(),
    )

    branch_on_mse = SageMakerMetricBranchOperator(
        task_id="branch_on_mse",
        pipeline_execution_arn=EXECUTION_ARN,
        accepted="trigger_scoring",
        rejected="notify_rejected",
        awaiting_approval="notify_awaiting_approval",
    )

    notify_rejected = NotifyOperator(
        task_id="notify_rejected",
        notifier=SageMakerSnsNotifier(
            subject=f"abalone rejected: {METRIC}",
            message=f"abalone rejected: {METRIC}, {THRESHOLD}. "
            "{{ ti.xcom_pull('wait_for_pipeline')['rejection_message'] }}\n" + LINKS,
        ),
    )

    notify_awaiting_approval = NotifyOperator(
        task_id="notify_awaiting_approval",
        notifier=SageMakerSnsNotifier(
            subject="abalone awaiting approval",
            message=f"abalone awaiting approval: {METRIC}, {THRESHOLD}. Approve {MODEL_PACKAGE}, "
            "then trigger abalone_score.\n" + LINKS,
        ),
    )

    trigger_scoring = TriggerDagRunOnceOperator(
        task_id="trigger_scoring",
        trigger_dag_id="abalone_score",
        # One scoring run for each execution, whoever retries or clears this task.
        trigger_run_id="abalone_train__{{ ti.xcom_pull('start_pipeline').rpartition('/')[2] }}",
        conf={"ModelPackageArn": MODEL_PACKAGE},
    )

    upsert_pipeline >> start_pipeline >> wait_for_pipeline >> branch_on_mse
    branch_on_mse >> [notify_rejected, notify_awaiting_approval, trigger_scoring]
