"""Show one step of a pipeline execution as a task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowSkipException
from airflow.triggers.base import StartTriggerArgs

from sagemaker_pipelines.links.pipeline import SageMakerPipelineExecutionLink, SageMakerStepLogLink

if TYPE_CHECKING:
    from airflow.sdk import Context

_TRIGGER = "sagemaker_pipelines.triggers.mirror.SageMakerStepMirrorTrigger"

#: What the DAG sets for its tasks is not meant for a mirror, which has nothing to repeat or to report.
QUIET: Mapping[str, Any] = {
    "retries": 0,
    "on_execute_callback": None,
    "on_failure_callback": None,
    "on_retry_callback": None,
    "on_skipped_callback": None,
    "on_success_callback": None,
    "email": None,
    "outlets": None,
    "depends_on_past": False,
    # It would set depends_on_past.
    "wait_for_downstream": False,
    "execution_timeout": None,
    # In a pool that counts deferred tasks, mirrors would take the slot that the wait needs for its end.
    "pool": "default_pool",
    "pool_slots": 1,
    # Airflow serves waits first when a triggerer has little room.
    "priority_weight": 0,
    "weight_rule": "absolute",
}


class SageMakerStepMirrorOperator(BaseOperator):
    """Mirror a step of an execution: the task ends as the step ends, and never occupies a worker.

    Airflow's scheduler defers the task itself, so it needs a running triggerer. The task does not decide
    anything: it starts, stops and retries nothing, and it notifies nobody.

    Pushes the step to XCom as ``step``, in the form of the steps in the record of the execution.

    :param step_name: the step in the definition.
    :param step_type: its type, such as ``Training``, which the UI shows; empty shows the operator's name.
    :param start_task_id: the full id of the task that pushes the execution's ARN.
    :param wait_task_id: the full id of the task that waits for the execution.
    :param body_steps: the steps in the body of a ForEach, whose children are counted.
    :param aws_conn_id: the Airflow connection.
    :param region_name: the region; None uses the connection's.
    :param verify: whether or with which CA bundle to check certificates.
    :param botocore_config: keywords of botocore's Config.
    """

    operator_extra_links = (SageMakerStepLogLink(), SageMakerPipelineExecutionLink())
    ui_color = "#eef3fb"
    start_from_trigger = True

    def __init__(
        self,
        *,
        step_name: str,
        start_task_id: str,
        wait_task_id: str,
        step_type: str = "",
        body_steps: Sequence[str] = (),
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        # A step that was skipped does not keep the steps after it from running.
        super().__init__(**{**QUIET, "trigger_rule": "none_failed", **kwargs})
        self.step_name = step_name
        # The second line of the task's box in the graph.
        self.custom_operator_name = f"{step_type} step" if step_type else self.task_type
        self.start_task_id = start_task_id
        self.wait_task_id = wait_task_id
        self.start_trigger_args = StartTriggerArgs(
            trigger_cls=_TRIGGER,
            trigger_kwargs={
                "step_name": step_name,
                "start_task_id": start_task_id,
                "wait_task_id": wait_task_id,
                "body_steps": list(body_steps),
                "aws_conn_id": aws_conn_id,
                "region_name": region_name,
                "verify": verify,
                "botocore_config": botocore_config,
            },
            next_method="execute_complete",
        )

    def execute(self, context: Context) -> None:
        """Skip: without a triggerer, as in ``dag.test()``, there is nothing that follows the step."""
        raise AirflowSkipException(
            f"Step {self.step_name} is not mirrored here, because only a triggerer follows it. The log of "
            f"{self.wait_task_id} shows the steps."
        )

    def execute_complete(self, context: Context, event: Any = None) -> None:
        """Fail: the trigger ends the task itself, so Airflow gets here only if the trigger broke."""
        raise RuntimeError(f"The trigger of step {self.step_name} ended with {event!r}. See the task's log.")
