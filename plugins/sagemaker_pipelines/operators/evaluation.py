"""Branch on the metric of an execution."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk.bases.branch import BranchMixIn

from sagemaker_pipelines.exceptions import SageMakerPipelinesError
from sagemaker_pipelines.hooks.evaluation import GateReading
from sagemaker_pipelines.hooks.execution import ExecutionOutcome
from sagemaker_pipelines.hooks.pipeline import SageMakerPipelineHook
from sagemaker_pipelines.links.pipeline import SageMakerPipelineExecutionLink

if TYPE_CHECKING:
    from airflow.sdk import Context

ACCEPTED = "accepted"
REJECTED = "rejected"
AWAITING_APPROVAL = "awaiting_approval"
TaskIds = str | Sequence[str]


class SageMakerMetricBranchOperator(AwsBaseOperator[SageMakerPipelineHook], BranchMixIn):
    """Compare the metric in an execution's report with the execution's own threshold, and branch.

    The gate is read from the execution's own definition: which property file of which step, which path,
    which comparison. It fails closed: a report that is missing or broken, or a metric that is not a finite
    number, fails the task and follows nothing. Where metric and outcome disagree, the stricter one is
    followed and the disagreement is logged as an error.

    Pushes to XCom ``metric``, ``threshold``, ``verdict`` (``accepted``, ``rejected`` or
    ``awaiting_approval``), ``report_uri`` and ``model_package_arn``; the return value is the followed task
    ids.

    https://docs.aws.amazon.com/sagemaker/latest/dg/build-and-manage-propertyfile.html

    :param pipeline_execution_arn: the execution, which has succeeded or was rejected. Templated.
    :param accepted: task id or ids to follow when the model is accepted.
    :param rejected: task id or ids to follow when it is rejected.
    :param awaiting_approval: task id or ids to follow when it passed, and its model package waits for
        approval; None follows ``accepted``.
    :param condition_step: the Condition step that is the gate; needed where several read a metric.
        Templated.
    :param rejection_steps: see the sensor. Templated.
    :raises AirflowFailException: the metric cannot be read, or the execution did not end well.
    """

    aws_hook_class = SageMakerPipelineHook
    inherits_from_skipmixin = True
    template_fields: Sequence[str] = aws_template_fields(
        "pipeline_execution_arn", "condition_step", "rejection_steps"
    )
    operator_extra_links = (SageMakerPipelineExecutionLink(),)
    ui_color = "#ededed"

    def __init__(
        self,
        *,
        pipeline_execution_arn: str,
        accepted: TaskIds,
        rejected: TaskIds,
        awaiting_approval: TaskIds | None = None,
        condition_step: str | None = None,
        rejection_steps: Iterable[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.pipeline_execution_arn = pipeline_execution_arn
        self.accepted = accepted
        self.rejected = rejected
        self.awaiting_approval = awaiting_approval
        self.condition_step = condition_step
        self.rejection_steps = rejection_steps

    def execute(self, context: Context) -> Any:
        """Read, compare, and follow the branch."""
        SageMakerPipelineExecutionLink.store(context, self, self.hook, self.pipeline_execution_arn)
        try:
            outcome = self.hook.execution_outcome(
                self.pipeline_execution_arn, rejection_steps=self.rejection_steps
            )
            reading = self.hook.read_gate(self.pipeline_execution_arn, condition_step=self.condition_step)
        except SageMakerPipelinesError as error:
            raise AirflowFailException(str(error)) from error
        model_package_arn = self.hook.registered_model_package(self.pipeline_execution_arn)
        verdict = self._verdict(outcome, reading, model_package_arn)
        self.log.info(
            "Metric %s, threshold %s (%s): %s", reading.metric, reading.threshold, reading.operator, verdict
        )
        values = {**reading.as_dict(), "verdict": verdict, "model_package_arn": model_package_arn}
        for key in ("metric", "threshold", "verdict", "report_uri", "model_package_arn"):
            context["ti"].xcom_push(key=key, value=values[key])
        return self.do_branch(context, self._branches(verdict))

    def _verdict(self, outcome: ExecutionOutcome, reading: GateReading, model_package_arn: str | None) -> str:
        if reading.passed is outcome.rejected:
            self.log.error(
                "The metric %s %s the threshold %s (%s), but the execution %s. The stricter one is followed: "
                "rejected. Look at how %s is written, and at the Condition step.",
                reading.metric,
                "passes" if reading.passed else "does not pass",
                reading.threshold,
                reading.operator,
                "was rejected" if outcome.rejected else "was not rejected",
                reading.report_uri,
            )
        if outcome.rejected or not reading.passed:
            return REJECTED
        if model_package_arn is None:
            return ACCEPTED
        return self._approval_verdict(model_package_arn)

    def _approval_verdict(self, model_package_arn: str) -> str:
        """Return what the registered model package's approval means; it may have changed since."""
        status = self.hook.describe_model_package(model_package_arn).get("ModelApprovalStatus")
        if status == "Rejected":
            self.log.warning("%s was registered as Rejected", model_package_arn)
            return REJECTED
        return AWAITING_APPROVAL if status == "PendingManualApproval" else ACCEPTED

    def _branches(self, verdict: str) -> TaskIds:
        if verdict == REJECTED:
            return self.rejected
        if verdict == AWAITING_APPROVAL and self.awaiting_approval is not None:
            return self.awaiting_approval
        return self.accepted
