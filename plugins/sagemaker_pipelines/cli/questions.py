"""The question that an approval task asks in Airflow, for a decision that is made in a shell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx

from sagemaker_pipelines.aws.evidence import Evidence
from sagemaker_pipelines.exceptions import AirflowRequestError

if TYPE_CHECKING:
    from sagemaker_pipelines.airflow_client import AirflowClient


@dataclass(frozen=True, kw_only=True)
class OpenQuestion:
    """A question about a model package that nobody has answered yet.

    :param airflow: the Airflow that asks.
    :param task: the task instance that waits, as Airflow's API has it.
    :param evidence: the numbers that it shows.
    """

    airflow: AirflowClient
    task: Mapping[str, Any]
    evidence: Evidence

    @property
    def dag_id(self) -> str:
        """The DAG of the run that asks."""
        return str(self.task["dag_id"])

    @property
    def run_id(self) -> str:
        """The run that asks."""
        return str(self.task["dag_run_id"])

    def answer(self, option: str, reason: str) -> None:
        """Answer it, so that the run goes on; do nothing if somebody has answered meanwhile.

        :param option: the option of the approval task.
        :param reason: why.
        :raises AirflowRequestError: Airflow refuses the answer, or does not answer.
        """
        path = f"{_task_path(self.task)}/hitlDetails"
        body = {"chosen_options": [option], "params_input": {"reason": reason}}
        try:
            self.airflow.call("PATCH", path, json=body)
        except AirflowRequestError as error:
            if error.status != httpx.codes.CONFLICT:
                raise


def open_question(airflow: AirflowClient, model_package_arn: str) -> OpenQuestion | None:
    """Return the question about a model package that waits for an answer; None if there is none.

    :param airflow: calls Airflow.
    :param model_package_arn: the package.
    :raises AirflowRequestError: Airflow does not answer, or refuses the request.
    """
    # Airflow is only imported once a question is looked for.
    from sagemaker_pipelines.operators.approval import XCOM_EVIDENCE

    named = Evidence(model_package_arn=model_package_arn).model_package
    found = airflow.call(
        "GET",
        "/dags/~/dagRuns/~/hitlDetails",
        subject_search=f"Approve {named}?",
        response_received=False,
        state="awaiting_input",
        limit=100,
    )
    for task in (each["task_instance"] for each in found["hitl_details"]):
        of_task = (task["dag_id"], task["dag_run_id"], task["task_id"])
        document = airflow.xcom(*of_task, XCOM_EVIDENCE, map_index=task["map_index"])
        # The same name may stand for a package of another account or region.
        if isinstance(document, Mapping) and document.get("model_package_arn") == model_package_arn:
            return OpenQuestion(airflow=airflow, task=task, evidence=Evidence.from_document(document))
    return None


def _task_path(task: Mapping[str, Any]) -> str:
    run = f"/dags/{quote(task['dag_id'])}/dagRuns/{quote(task['dag_run_id'], safe='')}"
    return f"{run}/taskInstances/{quote(task['task_id'])}/{task['map_index']}"
