"""Promote a definition and its model package to another environment."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields
from airflow.providers.common.compat.sdk import AirflowFailException

from sagemaker_pipelines.aws.promotion import Promotion
from sagemaker_pipelines.definition import Envelope
from sagemaker_pipelines.exceptions import SageMakerPipelinesError
from sagemaker_pipelines.hooks.pipeline import SageMakerPipelineHook
from sagemaker_pipelines.states import PENDING
from sagemaker_pipelines.task.airflow_id import airflow_id
from sagemaker_pipelines.task.records import PromotionRecord, Witness

if TYPE_CHECKING:
    from airflow.sdk import Context

#: Who approves a package that a DAG promotes as Approved.
PROMOTER = "the promotion of the DAG"


class SageMakerPromoteOperator(AwsBaseOperator[SageMakerPipelineHook]):
    """Deploy a definition in another environment, and register the model package there that it produced.

    It is refused unless the environment of ``aws_conn_id`` has a succeeded execution of exactly this
    definition. A retry, or a second task, copies and registers nothing twice; without ``model_package_arn``,
    a retry keeps the package that the first attempt has chosen, until somebody clears the task.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModelPackage.html

    :param definition: path of the definition, in any form that :meth:`Envelope.load` reads. Templated,
        unless it is a Path.
    :param target_conn_id: the Airflow connection of the environment that gets it.
    :param pipeline_name: the pipeline's name in the environment of ``aws_conn_id``, if it was deployed under
        another name than the definition's; the target gets it with its own prefix. Templated.
    :param model_package_arn: the package; None or empty means that of the newest succeeded execution of this
        definition, or the newest Approved one if it should become Approved. Templated.
    :param approval_status: the state that the package gets: ``PendingManualApproval``, the default, or
        ``Approved``, which is recorded as a decision and refused unless the original is Approved. A package
        about which somebody has decided in the target keeps its state. Templated.
    :return: see :meth:`sagemaker_pipelines.aws.promotion.Promotion.run`.
    :raises AirflowFailException: the promotion is refused, or a setting or the definition cannot be used.
    """

    aws_hook_class = SageMakerPipelineHook
    template_fields: Sequence[str] = aws_template_fields(
        "definition", "target_conn_id", "pipeline_name", "model_package_arn", "approval_status"
    )
    ui_color = "#ededed"

    def __init__(
        self,
        *,
        definition: str | Path,
        target_conn_id: str,
        pipeline_name: str | None = None,
        model_package_arn: str | None = None,
        approval_status: str = PENDING,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.definition = definition
        self.target_conn_id = target_conn_id
        self.pipeline_name = pipeline_name
        self.model_package_arn = model_package_arn
        self.approval_status = approval_status

    def execute(self, context: Context) -> dict[str, Any]:
        """Promote, and return what the target environment has now."""
        witness, earlier = Witness.of(context), PromotionRecord.load(context)
        kept = earlier.model_package_arn if earlier is not None and earlier.witness == witness else None
        try:
            promotion = Promotion(
                self.hook.client,
                SageMakerPipelineHook(aws_conn_id=self.target_conn_id).client,
                Envelope.load(self.definition),
                pipeline_name=self.pipeline_name or None,
                model_package_arn=self.model_package_arn or kept,
                approval_status=self.approval_status,
                decided_by=PROMOTER,
                dag_id=self.dag_id,
                run_id=context.get("run_id"),
                airflow_id=airflow_id(context),
            )
            plan = promotion.plan()
            PromotionRecord(witness=witness, model_package_arn=plan.source_model_package_arn).save(context)
            return promotion.run(plan)
        except SageMakerPipelinesError as error:
            raise AirflowFailException(str(error)) from error
