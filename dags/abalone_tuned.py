"""Tune a model of abalone, check its quality against the last one, and deploy it: an Airflow DAG.

The first run has no earlier model: tick SkipQualityCheck and RegisterNewBaseline in its form.
"""

from pathlib import Path

from sagemaker_pipelines import sagemaker_pipeline_dag

dag = sagemaker_pipeline_dag(
    "abalone_tuned",
    definition=Path(__file__).parent / "definitions" / "abalone-tuned.json",
    data_parameters=["InputData", "BatchData"],
)
