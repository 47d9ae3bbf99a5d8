"""Ask a person whether a registered model is approved, and record the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.utils.mixins import AwsBaseHookMixin, aws_template_fields
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Param

from sagemaker_pipelines.aws.champion import ModelPackage, read_model_package
from sagemaker_pipelines.aws.comparison import Comparison
from sagemaker_pipelines.aws.decisions import MAX_REASON, Decision, new_decision_id, record_decision
from sagemaker_pipelines.aws.evidence import Evidence
from sagemaker_pipelines.aws.model_packages import newest_approved_model_package
from sagemaker_pipelines.exceptions import (
    EvaluationError,
    NoTaskStateStoreError,
    SageMakerPipelinesError,
    SupersededError,
)
from sagemaker_pipelines.hooks.pipeline import SageMakerPipelineHook
from sagemaker_pipelines.links.page import required_action_url, run_page_url
from sagemaker_pipelines.messages import cut
from sagemaker_pipelines.notifications.sending import send
from sagemaker_pipelines.states import APPROVED, PENDING
from sagemaker_pipelines.task.records import ApprovalRecord

if TYPE_CHECKING:
    from airflow.sdk import Context

#: XCom key of the decision.
XCOM_DECISION = "decision"
#: XCom key of the numbers that a question shows, for a decision in a shell.
XCOM_EVIDENCE = "evidence"
#: Who decides with ``automatic=True``.
RULE = "the rule of the DAG"


class SageMakerApproveModelPackageOperator(ApprovalOperator, AwsBaseHookMixin[SageMakerPipelineHook]):
    """Ask a person whether a model package is approved, and write the answer to the model registry.

    The question shows the numbers of the gate or of the comparison as a table. An answer in Airflow's UI,
    through its REST API or by the link in a notification is first written to the registry and to S3; only
    then do the downstream tasks follow (approved) or are skipped (rejected). If nobody answers in time, the
    package stays ``PendingManualApproval``, and the downstream tasks are skipped.

    The task asks only about a package that is ``PendingManualApproval``. Otherwise somebody has decided, here
    or in another tool, and the task follows that decision. An answer survives a crash: the next attempt
    writes it, once, without asking again.

    Pushes to XCom ``evidence`` the numbers that it asks about, and ``decision`` what the registry has then: a
    dictionary with ``model_package_arn``, ``status``, ``description`` (the ApprovalDescription, which says
    who decided when and why) and ``decision_id``, which is None if another tool has decided.

    https://airflow.apache.org/docs/apache-airflow-providers-standard/stable/operators/hitl.html

    :param model_package_arn: the package. Templated.
    :param gate: what the branch pushed to XCom. Templated.
    :param comparison: what the comparison with the champion pushed to XCom; None if there is none. Templated.
    :param pipeline_execution_arn: the execution that registered the package. Templated.
    :param automatic: whether the verdict of the comparison, or of the gate, decides instead of a person.
    :param aws_conn_id: the Airflow connection.
    :param region_name: the region; None uses the connection's.
    :param verify: whether to verify TLS certificates, or the path of a CA bundle.
    :param botocore_config: arguments of botocore's configuration.
    :param kwargs: more arguments of ApprovalOperator, such as ``assigned_users``, ``response_timeout`` and
        ``notifiers``, which announce the question. Their templates can read ``values.subject``,
        ``values.text`` and ``values.link``, the address where the question can be answered. ``defaults``
        is refused, because nobody would have decided.
    :raises AirflowFailException: the package does not exist, somebody has decided otherwise, or the champion
        is not the one that the question was about; nothing is written.
    :raises ValueError: ``defaults`` is given.
    """

    aws_hook_class = SageMakerPipelineHook
    template_fields: Sequence[str] = aws_template_fields(
        "model_package_arn", "gate", "comparison", "pipeline_execution_arn"
    )
    ui_color = "#fff5d6"

    def __init__(
        self,
        *,
        model_package_arn: str,
        gate: Mapping[str, Any] | None = None,
        comparison: Mapping[str, Any] | None = None,
        pipeline_execution_arn: str | None = None,
        automatic: bool = False,
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        reason = Param("", type=["string", "null"], maxLength=MAX_REASON, title="Reason")
        # Airflow passes the DAG's params here, too; it shows only those of the task to the person.
        params = {**dict((kwargs.pop("params", None) or {}).items()), "reason": reason}
        super().__init__(subject="Approve the model package?", params=params, **kwargs)
        if self.defaults is not None:
            raise ValueError(
                f"defaults is {self.defaults!r}; expected none: without an answer, the package stays "
                f"{PENDING}. Leave it out; automatic=True decides without a person."
            )
        self.model_package_arn = model_package_arn
        self.gate = gate
        self.comparison = comparison
        self.pipeline_execution_arn = pipeline_execution_arn
        self.automatic = automatic
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config

    def execute(self, context: Context) -> Any:
        """Follow the decision that has been made; else decide by the rule, or ask."""
        if context.get("task_state_store") is None:
            raise AirflowFailException(str(NoTaskStateStoreError(context["ti"].task_id)))
        try:
            package = read_model_package(self.hook.client, self.model_package_arn)
            champion = newest_approved_model_package(self.hook.client, package.group)
            evidence = self._evidence(champion)
        except SageMakerPipelinesError as error:
            raise AirflowFailException(str(error)) from error
        if package.status != PENDING:
            return self._follow(context, package)
        known = ApprovalRecord.load(context)
        if known is not None and known.answers(evidence.fingerprint, recorded_id=package.decision_id):
            self.log.info("An earlier attempt was answered by %s", known.decided_by)
            return self._record(context, known)
        asked = ApprovalRecord(
            fingerprint=evidence.fingerprint,
            champion_arn=evidence.champion_arn,
            decision_id=new_decision_id(),
        ).save(context)
        if self.automatic:
            return self._record(context, self._answered(context, asked, approved=evidence.passed, by=RULE))
        context["ti"].xcom_push(key=XCOM_EVIDENCE, value=evidence.as_document())
        self._prepare_question(context, evidence)
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Write the answer to the registry, and follow it."""
        if event.get("error_type") == "timeout" or event.get("timedout"):
            return self._unanswered(context)
        if "error" in event:
            return super().execute_complete(context, event)
        self.validate_chosen_options(event["chosen_options"])
        asked = ApprovalRecord.load(context)
        if asked is None:
            raise AirflowFailException(
                f"{self.task_id} does not know what was asked: its task state store has no record of it. "
                "Nothing was written. Clear this task to ask again."
            )
        user, given = event.get("responded_by_user") or {}, {**(event.get("params_input") or {})}
        if "reason" in given:  # Airflow's API checks neither its type nor its length.
            given["reason"] = cut(str(given["reason"] or ""), MAX_REASON)
        answer = self._answered(
            context,
            asked,
            approved=event["chosen_options"] == [self.APPROVE],
            by=f"{user.get('name') or 'unknown'} ({user.get('id') or 'unknown'})",
            at=event["responded_at"],
            reason=given.get("reason", ""),
        )
        return self._record(context, answer, {**event, "params_input": given})

    def _unanswered(self, context: Context) -> Any:
        """Follow what somebody has decided in another tool; else leave the package pending."""
        try:
            package = read_model_package(self.hook.client, self.model_package_arn)
        except SageMakerPipelinesError as error:
            raise AirflowFailException(str(error)) from error
        if package.status != PENDING:
            return self._follow(context, package)
        self.log.warning(
            "Nobody answered within %s: %s stays %s, and nothing follows. Clear this task to ask again.",
            self.response_timeout,
            self.model_package_arn,
            PENDING,
        )
        return self._finish(context, self.REJECT)

    def _evidence(self, champion_arn: str | None) -> Evidence:
        comparison = Comparison.from_document(self.comparison) if self.comparison else None
        if comparison is not None:
            if comparison.challenger.arn != self.model_package_arn:
                raise EvaluationError(
                    f"The comparison is about {comparison.challenger.arn}, but {self.model_package_arn} waits"
                    " for a decision; expected a comparison of that package. Nothing was written. Pass its "
                    "own one, or clear the comparison."
                )
            champion_arn = comparison.champion.arn if comparison.champion else None
        return Evidence(
            model_package_arn=self.model_package_arn,
            champion_arn=champion_arn,
            gate=self.gate,
            comparison=comparison,
            pipeline_execution_arn=self.pipeline_execution_arn,
        )

    @staticmethod
    def _answered(
        context: Context,
        asked: ApprovalRecord,
        *,
        approved: bool,
        by: str,
        at: datetime | None = None,
        reason: str = "",
    ) -> ApprovalRecord:
        """Store an answer, before it is written to the registry."""
        at = at or datetime.now(UTC)
        told = {"decided_by": by, "decided_at": at.isoformat(timespec="seconds"), "reason": reason}
        return asked.save(context, approved=approved, **told)

    def _record(self, context: Context, answer: ApprovalRecord, event: dict[str, Any] | None = None) -> Any:
        """Write an answer to the registry, if no earlier attempt has, and follow it."""
        client, evidence = self.hook.client, self._evidence(answer.champion_arn)
        decision = Decision(
            approved=bool(answer.approved),
            decided_by=answer.decided_by,
            decided_at=answer.decided_at,
            reason=answer.reason,
            evidence=evidence,
            dag_id=context["ti"].dag_id,
            run_id=context["ti"].run_id,
            decision_id=answer.decision_id,
        )
        try:
            if evidence.fingerprint != answer.fingerprint:
                raise SupersededError(
                    f"The numbers of {self.model_package_arn} have changed since {self.task_id} asked about "
                    "them. Nothing was written. Clear this task to ask again."
                )
            record_decision(client, decision)
            answer.save(context, recorded=True)
            package = read_model_package(client, self.model_package_arn)
        except SageMakerPipelinesError as error:
            raise AirflowFailException(str(error)) from error
        return self._follow(context, package, event)

    def _follow(self, context: Context, package: ModelPackage, event: dict[str, Any] | None = None) -> Any:
        """Let the downstream tasks follow the registry's decision, or skip them."""
        self.log.info("%s is %s: %s", package.arn, package.status, package.description or "no description")
        decision = {
            "model_package_arn": package.arn,
            "status": package.status,
            "description": package.description,
            "decision_id": package.decision_id,
        }
        context["ti"].xcom_push(key=XCOM_DECISION, value=decision)
        return self._finish(context, self.APPROVE if package.status == APPROVED else self.REJECT, event)

    def _finish(self, context: Context, option: str, event: dict[str, Any] | None = None) -> Any:
        answer = event or {"params_input": {}, "responded_at": datetime.now(UTC), "responded_by_user": None}
        return super().execute_complete(context, {**answer, "chosen_options": [option]})

    def _prepare_question(self, context: Context, evidence: Evidence) -> None:
        self.subject = f"Approve {evidence.model_package}? {evidence.in_one_line()}"
        self.body = evidence.markdown(run_page_url(context["ti"]))
        values = {
            "subject": self.subject,
            "text": "\n".join([*evidence.lines(), *evidence.notes()]),
            "link": required_action_url(context["ti"]),
        }
        announcements: list[Any] = [_Announcement(notifier, values) for notifier in self.notifiers]
        self.notifiers = announcements


@dataclass(frozen=True)
class _Announcement:
    """Send a notification whose templates can read the question.

    :param notifier: any Airflow notifier.
    :param values: what its templates can read as ``values.<name>``.
    """

    notifier: Callable[[Any], None]
    values: Mapping[str, str]

    def __call__(self, context: Context) -> None:
        send(self.notifier, {**context, "values": self.values})
