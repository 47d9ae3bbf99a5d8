"""Register the package's links with Airflow."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from sagemaker_pipelines.links.pipeline import SageMakerFailedStepLogLink, SageMakerPipelineExecutionLink


class SageMakerPipelinesPlugin(AirflowPlugin):
    """The plugin."""

    name = "sagemaker_pipelines"
    operator_extra_links = [SageMakerPipelineExecutionLink(), SageMakerFailedStepLogLink()]  # noqa: RUF012 - Airflow's attribute
