"""Deploy a pipeline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields
from airflow.providers.common.compat.sdk import AirflowFailException

from sagemaker_pipelines.aws.upsert import check_parallelism, upsert_pipeline
from sagemaker_pipelines.aws.versions import pinned_version, version_id
from sagemaker_pipelines.definition import Envelope
from sagemaker_pipelines.exceptions import SageMakerPipelinesError
from sagemaker_pipelines.hooks.pipeline import SageMakerPipelineHook
from sagemaker_pipelines.task.airflow_id import airflow_id

if TYPE_CHECKING:
    from airflow.sdk import Context


class SageMakerUpsertPipelineOperator(AwsBaseOperator[SageMakerPipelineHook]):
    """Create the pipeline of a definition, or update it if it differs from what is deployed.

    Role, bucket, name prefix, KMS key, VPC and tags come from the connection's environment (see
    :mod:`sagemaker_pipelines.settings`). For an unchanged definition, nothing is written.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreatePipeline.html

    :param definition: path of the definition, in any form that :meth:`Envelope.load` reads. Templated,
        unless it is a Path.
    :param pipeline_name: the name to deploy under; None means the definition's name with the environment's
        prefix. Templated.
    :param max_parallel_execution_steps: limit on the steps of one execution that run at once; None sets no
        limit, and keeps the one that is deployed.
    :param description: the pipeline's description; None means the definition's. Templated.
    :param tags: tags for the pipeline and its jobs, in addition to the environment's. Templated.
    :param pipeline_version_id: a deployed version to execute instead: nothing is written, and the version is
        returned if it exists. None or empty deploys the definition. Templated.
    :return: ``{"pipeline_name", "pipeline_arn", "pipeline_version_id", "changed", "created",
        "definition_hash", "pinned"}``; pass the version to the start, so that another upsert in between does
        not matter.
    :raises AirflowFailException: the definition, a setting or a placeholder cannot be used, or the pipeline
        belongs to another environment.
    """

    aws_hook_class = SageMakerPipelineHook
    template_fields: Sequence[str] = aws_template_fields(
        "definition", "pipeline_name", "description", "tags", "pipeline_version_id"
    )
    ui_color = "#ededed"

    def __init__(
        self,
        *,
        definition: str | Path,
        pipeline_name: str | None = None,
        description: str | None = None,
        max_parallel_execution_steps: int | None = None,
        tags: Mapping[str, str] | None = None,
        pipeline_version_id: int | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_parallelism(max_parallel_execution_steps)
        # A Path is not templated, so nothing in it can be code.
        self.definition = definition
        self.pipeline_name = pipeline_name
        self.description = description
        self.max_parallel_execution_steps = max_parallel_execution_steps
        self.tags = tags
        self.pipeline_version_id = pipeline_version_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Deploy the definition, and return what is deployed."""
        try:
            envelope = Envelope.load(self.definition)
            version = version_id(self.pipeline_version_id)
            if version is not None:
                name = self.pipeline_name or envelope.pipeline_name(self.hook.settings.name_prefix)
                return pinned_version(self.hook.client, name, version).as_dict()
            result = upsert_pipeline(
                self.hook.client,
                envelope,
                pipeline_name=self.pipeline_name,
                description=self.description,
                max_parallel_execution_steps=self.max_parallel_execution_steps,
                tags=self.tags,
                airflow_id=airflow_id(context),
            )
        except SageMakerPipelinesError as error:
            raise AirflowFailException(str(error)) from error
        return result.as_dict()
