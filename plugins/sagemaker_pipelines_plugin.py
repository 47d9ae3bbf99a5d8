"""Register the package's links with Airflow."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

import sagemaker_pipelines
from sagemaker_pipelines.links.pipeline import SageMakerFailedStepLogLink, SageMakerPipelineExecutionLink

# The DAG processor loads plugins once and forks for each DAG file: what is imported here need not be
# imported again at every parse. Airflow itself does so for the airflow.* modules that a file names.
PUBLIC_NAMES = [getattr(sagemaker_pipelines, name) for name in sagemaker_pipelines.__all__]


class SageMakerPipelinesPlugin(AirflowPlugin):
    """The plugin."""

    name = "sagemaker_pipelines"
    operator_extra_links = [SageMakerPipelineExecutionLink(), SageMakerFailedStepLogLink()]  # noqa: RUF012 - Airflow's attribute
