"""### Find what DAG runs have left behind in SageMaker, and stop or delete it on request.

An execution that this Airflow started and that no task watches any longer is an orphan: its run was deleted
or has ended, or its wait was marked. Scheduled runs only report; to stop or delete something, trigger a run
and tick the boxes. The report is in the task's log and in its XCom; see `docs/sweep.md`.
"""

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, Param

from sagemaker_pipelines import SageMakerSnsNotifier, SageMakerSweepOperator

with DAG(
    "sagemaker_sweep",
    description="Report orphaned executions and models that were left behind; stop or delete them on request",
    doc_md=__doc__,
    schedule="@hourly",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    params={
        "stop_orphans": Param(
            False,
            type="boolean",
            title="Stop orphans",
            description="Stop the executions of this Airflow that no task watches.",
        ),
        "delete_models": Param(
            False,
            type="boolean",
            title="Delete models",
            description="Delete the Model resources that ended executions of this Airflow have left behind.",
        ),
        "min_age_minutes": Param(
            30,
            type="integer",
            minimum=0,
            title="Minimum age (minutes)",
            description="Ignore anything younger: it takes a moment until the wait knows a new execution.",
        ),
        "adopt": Param(
            [],
            type="array",
            items={"type": "string"},
            title="Adopt",
            description="ARNs or generations of executions to treat as this Airflow's own.",
        ),
    },
    default_args={
        "retries": 1,
        "retry_delay": timedelta(minutes=5),
    },
    tags=["sagemaker", "sweep"],
):
    SageMakerSweepOperator(
        task_id="sweep",
        stop_orphans="{{ params.stop_orphans }}",
        delete_models="{{ params.delete_models }}",
        min_age_minutes="{{ params.min_age_minutes }}",
        adopt="{{ params.adopt | join(',') }}",
        notifier=SageMakerSnsNotifier(
            subject="SageMaker: {{ sweep.orphans | length }} orphans, {{ sweep.models | length }} models",
            message="{{ sweep_text }}",
        ),
    )
