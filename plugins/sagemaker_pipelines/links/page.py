"""Addresses in Airflow's UI: the page of a run, and where a question is answered."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from airflow.configuration import conf

if TYPE_CHECKING:
    from sagemaker_pipelines.airflow_internals import RuntimeTaskInstanceProtocol

#: The route of the page of one run, which the plugin registers.
RUN_ROUTE = "sagemaker-pipelines-dag-run"


def run_page_url(ti: RuntimeTaskInstanceProtocol) -> str:
    """Return the address of the page of a task's run."""
    return f"{_run_url(ti)}/plugin/{RUN_ROUTE}"


def required_action_url(ti: RuntimeTaskInstanceProtocol) -> str:
    """Return the address where the question of a task is answered.

    HITLOperator.generate_link_to_ui (standard provider 1.21) leaves out the path of ``[api] base_url``.
    """
    return f"{_run_url(ti)}/tasks/{quote(ti.task_id, safe='')}/required_actions?map_index={ti.map_index}"


def _run_url(ti: RuntimeTaskInstanceProtocol) -> str:
    # Without the option, Airflow's own links have this address, too.
    base = conf.get("api", "base_url", fallback="") or "http://localhost:8080"
    return f"{base.rstrip('/')}/dags/{quote(ti.dag_id, safe='')}/runs/{quote(str(ti.run_id), safe='')}"
