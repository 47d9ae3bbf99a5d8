"""The logical start: which start of which task a request to SageMaker belongs to."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import Context

# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StartPipelineExecution.html
MAX_DISPLAY_NAME = 82


@dataclass(frozen=True, kw_only=True)
class LogicalStart:
    """One intended start of one task.

    :param dag_id: the DAG.
    :param run_id: the DAG run.
    :param task_id: the task.
    :param map_index: index of a mapped task, else -1.
    :param generation: random id; automatic retries keep it, a user's clear makes a new one. It keeps two
        deployments in one account, a reset database and a re-created run apart.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    generation: str

    @classmethod
    def of(cls, context: Context) -> LogicalStart:
        """Return a new logical start of the running task."""
        ti = context["ti"]
        return cls(
            dag_id=ti.dag_id,
            run_id=ti.run_id,
            task_id=ti.task_id,
            map_index=-1 if ti.map_index is None else ti.map_index,
            generation=secrets.token_hex(16),
        )

    @property
    def token(self) -> str:
        """The ClientRequestToken: equal for every try of this start, different for any other."""
        parts = (self.dag_id, self.run_id, self.task_id, str(self.map_index), self.generation)
        # Lengths keep ("a", "bc") and ("ab", "c") apart.
        text = "".join(f"{len(part)}:{part}" for part in parts)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def description(self) -> str:
        """The PipelineExecutionDescription: tells whoever looks in SageMaker where it comes from."""
        return (
            f"Airflow dag_id={self.dag_id} run_id={self.run_id} task_id={self.task_id} "
            f"map_index={self.map_index} generation={self.generation}"
        )


def display_name_of(run_id: str) -> str:
    """Return a valid PipelineExecutionDisplayName for a run: 1 to 82 of ``[a-zA-Z0-9-]``.

    :param run_id: the DAG run's id, any text.
    """
    name = re.sub(r"[^a-zA-Z0-9]+", "-", run_id).strip("-")
    if name and len(name) <= MAX_DISPLAY_NAME:
        return name
    digest = hashlib.sha256(run_id.encode()).hexdigest()[:8]
    head = name[: MAX_DISPLAY_NAME - len(digest) - 1].rstrip("-")
    return f"{head}-{digest}" if head else f"run-{digest}"


def execution_request(
    start: LogicalStart,
    *,
    pipeline_name: str,
    pipeline_params: Mapping[str, str],
    display_name: str,
    pipeline_version_id: int | None = None,
    selected_steps: Sequence[str] | None = None,
    source_execution_arn: str | None = None,
    max_parallel_execution_steps: int | None = None,
) -> dict[str, Any]:
    """Return the arguments of StartPipelineExecution, as JSON types, so that they can be sent again verbatim.

    :param start: gives the token and the description.
    :param pipeline_params: the checked values.
    """
    request: dict[str, Any] = {
        "PipelineName": pipeline_name,
        "PipelineExecutionDisplayName": display_name,
        "PipelineExecutionDescription": start.description,
        "ClientRequestToken": start.token,
    }
    if pipeline_params:
        request["PipelineParameters"] = [
            {"Name": name, "Value": value} for name, value in sorted(pipeline_params.items())
        ]
    if pipeline_version_id is not None:
        request["PipelineVersionId"] = pipeline_version_id
    if selected_steps:
        source = {"SourcePipelineExecutionArn": source_execution_arn} if source_execution_arn else {}
        steps = [{"StepName": name} for name in selected_steps]
        request["SelectiveExecutionConfig"] = {"SelectedSteps": steps, **source}
    if max_parallel_execution_steps is not None:
        request["ParallelismConfiguration"] = {"MaxParallelExecutionSteps": max_parallel_execution_steps}
    return request
