"""Airflow DAGs whose runs are put into the database, and one without pipelines."""

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

from sagemaker_pipelines import sagemaker_pipeline_dag
from stack.settings import ROOT

DEFINITION = ROOT / "dags" / "definitions" / "abalone.json"

train = sagemaker_pipeline_dag("train", definition=DEFINITION)
history = sagemaker_pipeline_dag("history", definition=DEFINITION)
with DAG("other") as other:
    EmptyOperator(task_id="nothing")
