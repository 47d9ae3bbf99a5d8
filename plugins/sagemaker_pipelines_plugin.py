"""Register the package's links and its page with Airflow."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

import sagemaker_pipelines
from sagemaker_pipelines.links.pipeline import SageMakerFailedStepLogLink, SageMakerPipelineExecutionLink
from sagemaker_pipelines.page.app import PREFIX, PageApp

# The DAG processor loads plugins once and forks for each DAG file: what is imported here need not be
# imported again at every parse. Airflow itself does so for the airflow.* modules that a file names.
PUBLIC_NAMES = [getattr(sagemaker_pipelines, name) for name in sagemaker_pipelines.__all__]


def view(destination: str, query: str = "") -> dict[str, str]:
    """Return where Airflow shows the page.

    :param destination: ``nav``, ``dag`` or ``dag_run``.
    :param query: what the page shows there; Airflow fills in its placeholders.
    """
    # Each route can be used once. The addresses are relative to Airflow's base URL, which may have a path.
    route = PREFIX if destination == "nav" else f"{PREFIX}-{destination.replace('_', '-')}"
    return {
        "name": "SageMaker Pipelines",
        # The file by its name: Airflow's router drops a slash at the end.
        "href": f"{PREFIX}/index.html{query}",
        "destination": destination,
        "url_route": route,
        "icon": f"{PREFIX}/icon.svg",
        "icon_dark_mode": f"{PREFIX}/icon-dark.svg",
    }


class SageMakerPipelinesPlugin(AirflowPlugin):
    """The plugin."""

    name = "sagemaker_pipelines"
    operator_extra_links = [SageMakerPipelineExecutionLink(), SageMakerFailedStepLogLink()]  # noqa: RUF012 - Airflow's attribute
    fastapi_apps = [{"app": PageApp(), "url_prefix": f"/{PREFIX}", "name": "SageMaker Pipelines"}]  # noqa: RUF012
    external_views = [  # noqa: RUF012
        {**view("nav"), "category": "browse"},
        view("dag", "?dag_id={DAG_ID}"),
        view("dag_run", "?dag_id={DAG_ID}&run_id={RUN_ID}"),
    ]
