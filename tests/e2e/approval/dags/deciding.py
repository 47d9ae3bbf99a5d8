"""Airflow DAGs in which nobody answers, and in which the rule decides."""

from datetime import timedelta
from pathlib import Path

from sagemaker_pipelines import Approval, sagemaker_pipeline_dag

DEFINITION = Path(__file__).parent / "definitions" / "abalone.json"

unanswered = sagemaker_pipeline_dag(
    "unanswered",
    definition=DEFINITION,
    scoring_dag="abalone_score",
    approval=Approval(timeout=timedelta(seconds=1)),
)
ruled = sagemaker_pipeline_dag("ruled", definition=DEFINITION, approval="automatic")
