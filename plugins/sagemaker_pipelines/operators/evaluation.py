"""Branch on the metric of an execution."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import BranchMixIn

from sagemaker_pipelines import measures
from sagemaker_pipelines.aws.gate import GateReading, read_gate
from sagemaker_pipelines.aws.model_packages import approval_status, registered_model_package
from sagemaker_pipelines.aws.outcome import ExecutionOutcome, execution_outcome
from sagemaker_pipelines.exceptions import SageMakerPipelinesError
from sagemaker_pipelines.hooks.pipeline import SageMakerPipelineHook
from sagemaker_pipelines.links.pipeline import SageMakerPipelineExecutionLink
from sagemaker_pipelines.task.runs import is_backfill
from sagemaker_pipelines.task.waiting import is_set

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import Context

    from sagemaker_pipelines.airflow_internals import RuntimeTaskInstanceProtocol

ACCEPTED = "accepted"
REJECTED = "rejected"
AWAITING_APPROVAL = "awaiting_approval"
# By ModelApprovalStatus:
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeModelPackage.html
VERDICTS: Mapping[str, str] = {
    "Approved": ACCEPTED,
    "Rejected": REJECTED,
    "PendingManualApproval": AWAITING_APPROVAL,
}
TaskIds = str | Sequence[str]
#: The XCom of the comparison, and the version of its form.
XCOM_GATE = "gate"
GATE_VERSION = 1
#: The keys that :func:`pushed_gate` reads.
GATE_KEYS = (XCOM_GATE, "metric", "threshold", "verdict", "report_uri", "model_package_arn")


def pushed_gate(xcoms: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the gate that a branch pushed, in the form of this version; empty if it pushed none.

    :param xcoms: what the branch pushed, by key. An earlier version pushed each value under a key of its own.
    """
    if gate := xcoms.get(XCOM_GATE):
        return dict(gate)
    if "metric" not in xcoms:
        return {}
    kept = {name: xcoms.get(name) for name in ("threshold", "verdict", "report_uri", "model_package_arn")}
    return {"metric": "metric", "value": xcoms["metric"], **kept}


class SageMakerMetricBranchOperator(AwsBaseOperator[SageMakerPipelineHook], BranchMixIn):
    """Compare the metric in an execution's report with the execution's own threshold, and branch.

    The gate is read from the execution's own definition: the step, its property file, the path of the metric,
    and the comparison. The operator fails closed: if the report is missing or broken, or if the metric is not
    a finite number, the task fails and no branch is followed. If the metric and the outcome disagree, the
    stricter one is followed, and the disagreement is logged as an error.

    In a backfill run no branch is followed: whatever the verdict is, all downstream tasks are skipped and the
    run succeeds. With ``result_uri``, the verdict is also stored in S3, as one object per run and in one
    request; a run that is cleared or reprocessed replaces it.

    Pushes to XCom ``gate``: a dictionary with ``metric`` (its name), ``value``, ``threshold``, ``operator``,
    ``passed``, ``verdict`` (``accepted``, ``rejected`` or ``awaiting_approval``), ``report_uri``,
    ``model_package_arn``, ``pipeline_execution_arn`` and ``version``; with ``result_uri`` also
    ``result_uri``. The return value is the task ids that are followed.

    https://docs.aws.amazon.com/sagemaker/latest/dg/build-and-manage-propertyfile.html

    :param pipeline_execution_arn: the execution, which must have succeeded or been rejected. Templated.
    :param accepted: task id or ids to follow if the model is accepted.
    :param rejected: task id or ids to follow if it is rejected.
    :param awaiting_approval: task id or ids to follow if it passed and its model package waits for approval;
        None means those of ``accepted``.
    :param condition_step: the Condition step that is the gate; required if several steps read a metric.
        Templated.
    :param rejection_steps: see the sensor. Templated.
    :param tolerated_failures: see the sensor. Templated.
    :param result_uri: where to store the result as JSON, such as
        ``s3://<bucket>/abalone/results/{{ ds }}.json``; None or empty stores nothing. Templated.
    :param follow_in_backfill: whether backfill runs follow a branch, too; a template can read it from the
        run's conf. Templated.
    :raises AirflowFailException: the metric cannot be read, the execution did not end well, or the model
        package has an unknown approval status.
    """

    aws_hook_class = SageMakerPipelineHook
    inherits_from_skipmixin = True
    template_fields: Sequence[str] = aws_template_fields(
        "pipeline_execution_arn",
        "condition_step",
        "rejection_steps",
        "tolerated_failures",
        "result_uri",
        "follow_in_backfill",
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
        tolerated_failures: Iterable[str] | None = None,
        result_uri: str | None = None,
        follow_in_backfill: bool | str = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.pipeline_execution_arn = pipeline_execution_arn
        self.accepted = accepted
        self.rejected = rejected
        self.awaiting_approval = awaiting_approval
        self.condition_step = condition_step
        self.rejection_steps = rejection_steps
        self.tolerated_failures = tolerated_failures
        self.result_uri = result_uri
        self.follow_in_backfill = follow_in_backfill
        self._pushed: dict[str, Any] | None = None

    def execute(self, context: Context) -> Any:
        """Read, compare, and follow the branch."""
        client, arn = self.hook.client, self.pipeline_execution_arn
        SageMakerPipelineExecutionLink.store(context, self, self.hook, arn)
        try:
            outcome = execution_outcome(
                client,
                arn,
                rejection_steps=self.rejection_steps,
                tolerated_failures=self.tolerated_failures,
            )
            reading = read_gate(client, arn, condition_step=self.condition_step)
        except SageMakerPipelinesError as error:
            raise AirflowFailException(str(error)) from error
        model_package_arn = registered_model_package(client, arn)
        verdict = self._verdict(outcome, reading, model_package_arn)
        self.log.info(
            "%s %s, threshold %s (%s): %s",
            reading.metric,
            reading.value,
            reading.threshold,
            reading.operator,
            verdict,
        )
        measures.count(f"verdicts.{verdict}", arn)
        measures.gauge("metric", arn, reading.value)
        values = {
            "version": GATE_VERSION,
            "pipeline_execution_arn": arn,
            **reading.as_dict(),
            "verdict": verdict,
            "model_package_arn": model_package_arn,
        }
        self._pushed = values
        context["ti"].xcom_push(key=XCOM_GATE, value=values)
        if self.result_uri and self.result_uri != "None":
            self._keep(context, self.result_uri, values)
        if is_backfill(context) and not is_set(self.follow_in_backfill):
            self.log.info(
                "This is a backfill run: no branch is followed, because follow_in_backfill is %s",
                self.follow_in_backfill,
            )
            return self.do_branch(context, [])
        return self.do_branch(context, self._branches(verdict))

    def get_openlineage_facets_on_complete(
        self, task_instance: RuntimeTaskInstanceProtocol
    ) -> OperatorLineage[Any, Any] | None:
        """Return the report that was read and the verdict, for OpenLineage's listener; it does not call AWS.

        :param task_instance: the task.
        :return: None if the task has not compared anything.
        """
        if self._pushed is None:
            return None
        # Its provider is optional, and is there if this is called.
        from sagemaker_pipelines.lineage import gate_lineage

        return gate_lineage(self._pushed)

    def _keep(self, context: Context, uri: str, values: Mapping[str, Any]) -> None:
        run = context["dag_run"]
        interval = {
            name: moment.isoformat() if (moment := getattr(run, name, None)) else None
            for name in ("data_interval_start", "data_interval_end")
        }
        result = {
            **values,
            **interval,
            "dag_id": run.dag_id,
            "run_id": run.run_id,
        }
        try:
            self.hook.client.write_json(uri, result)
        except SageMakerPipelinesError as error:
            raise AirflowFailException(str(error)) from error
        context["ti"].xcom_push(key="result_uri", value=uri)
        self.log.info("The result is in %s", uri)

    def _verdict(self, outcome: ExecutionOutcome, reading: GateReading, model_package_arn: str | None) -> str:
        if reading.passed is outcome.rejected:
            self.log.error(
                "%s %s %s the threshold %s (%s), but the execution %s. The stricter verdict is "
                "followed: rejected. Check how %s is written, and check the Condition step.",
                reading.metric,
                reading.value,
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
        """Return the verdict for the model package's approval status, which may have changed since."""
        status = approval_status(self.hook.client, model_package_arn)
        if status not in VERDICTS:
            raise AirflowFailException(
                f"{model_package_arn} has the approval status {status!r}; expected one of "
                f"{', '.join(VERDICTS)}. No model is accepted: check the model package in SageMaker, and "
                "update this Airflow package."
            )
        if VERDICTS[status] == REJECTED:
            self.log.warning("%s was registered as Rejected", model_package_arn)
        return VERDICTS[status]

    def _branches(self, verdict: str) -> TaskIds:
        if verdict == REJECTED:
            return self.rejected
        if verdict == AWAITING_APPROVAL and self.awaiting_approval is not None:
            return self.awaiting_approval
        return self.accepted
