"""Check in Airflow what a pipeline has prepared, before it trains: the DAG of a Callback step."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import Param, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException

from sagemaker_pipelines import SageMakerPipelineHook, sagemaker_callback_dag, task_value


@task
def check_rows() -> dict[str, int]:
    """Return the number of rows, after checking that there are enough."""
    params = get_current_context()["params"]
    client = SageMakerPipelineHook().client
    rows = sum(client.read_object(uri).count(b"\n") for uri in client.data_objects(params["Train"]))
    if rows < params["MinimumRows"]:
        raise AirflowFailException(
            f"{params['Train']} has {rows} rows; expected at least {params['MinimumRows']}."
        )
    return {"rows": rows}


with sagemaker_callback_dag(
    "check_abalone_data",
    queue="abalone-checks",
    outputs={"Rows": task_value("check_rows", "rows")},
    timeout=timedelta(minutes=30),
    params={
        "Train": Param(type="string", description="The S3 prefix of the training data."),
        "MinimumRows": Param(100, type="integer", minimum=1),
    },
):
    check_rows()
