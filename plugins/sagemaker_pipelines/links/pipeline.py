"""Links from a task to its pipeline execution and to the log of its failed step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from airflow.providers.amazon.aws.links.base_aws import BASE_AWS_CONSOLE_LINK, BaseAwsLink

from sagemaker_pipelines.aws.steps import Step
from sagemaker_pipelines.exceptions import FailureCause
from sagemaker_pipelines.hooks.pipeline import SageMakerPipelineHook

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context

_AWS_DOMAINS = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws")


class SageMakerPipelineExecutionLink(BaseAwsLink):
    """Link to the execution in SageMaker Studio.

    The URL contains the Studio domain, so there is a link only if ``studio_domain_id`` is set.
    """

    name = "SageMaker Pipeline Execution"
    key = "sagemaker_pipeline_execution"
    format_str = (
        "https://studio-{studio_domain_id}.studio.{region_name}.sagemaker.aws"
        "/pipelines/view/{pipeline_name}/executions/{execution_id}/graph"
    )

    @classmethod
    def store(
        cls,
        context: Context,
        operator: BaseOperator,
        hook: SageMakerPipelineHook,
        pipeline_execution_arn: str,
    ) -> None:
        """Store what the link needs, if there is a link.

        :param pipeline_execution_arn: the execution.
        """
        if (values := cls.values(hook, pipeline_execution_arn)) is not None:
            cls.persist(context=context, operator=operator, aws_partition=hook.conn_partition, **values)

    @classmethod
    def values(cls, hook: SageMakerPipelineHook, pipeline_execution_arn: str) -> dict[str, Any] | None:
        """Return what the link needs; None without a Studio domain, or if the endpoint is not AWS's own.

        :param pipeline_execution_arn: the execution.
        """
        if hook.settings.studio_domain_id is None or not is_aws(hook):
            return None
        pipeline_name, _, execution_id = pipeline_execution_arn.split(":pipeline/")[-1].partition(
            "/execution/"
        )
        return {
            "region_name": hook.conn_region_name,
            "studio_domain_id": hook.settings.studio_domain_id,
            "pipeline_name": pipeline_name,
            "execution_id": execution_id,
        }


class SageMakerFailedStepLogLink(BaseAwsLink):
    """Link to the CloudWatch log of the step that failed."""

    name = "Failed Step Log"
    key = "sagemaker_failed_step_log"
    format_str = (
        BASE_AWS_CONSOLE_LINK
        + "/cloudwatch/home?region={region_name}#logsV2:log-groups/log-group/{log_group}"
        "/log-events/{log_stream}"
    )

    @classmethod
    def store(
        cls, context: Context, operator: BaseOperator, hook: SageMakerPipelineHook, cause: FailureCause
    ) -> None:
        """Store what the link needs, if the step has a log.

        :param cause: why the step failed.
        """
        if cause.log_group is None or cause.log_stream is None or not is_aws(hook):
            return
        cls.persist(
            context=context,
            operator=operator,
            region_name=hook.conn_region_name,
            aws_partition=hook.conn_partition,
            log_group=_console_quote(cause.log_group),
            log_stream=_console_quote(cause.log_stream),
        )


class SageMakerStepLogLink(BaseAwsLink):
    """Link to the CloudWatch log streams of a step's job."""

    name = "Step Log"
    key = "sagemaker_step_log"
    format_str = (
        BASE_AWS_CONSOLE_LINK
        + "/cloudwatch/home?region={region_name}#logsV2:log-groups/log-group/{log_group}"
        "$3FlogStreamNameFilter$3D{job_name}"
    )

    @classmethod
    def values(cls, hook: SageMakerPipelineHook, step: Step) -> dict[str, Any] | None:
        """Return what the link needs; None if the step has no job, or if the endpoint is not AWS's own.

        :param step: the step.
        """
        if step.log_group is None or not is_aws(hook):
            return None
        return {
            "region_name": hook.conn_region_name,
            "aws_domain": cls.get_aws_domain(hook.conn_partition),
            "log_group": _console_quote(step.log_group),
            "job_name": _console_quote(str(step.job_name) if step.log_stream_filter else ""),
        }


def is_aws(hook: SageMakerPipelineHook) -> bool:
    """Return whether the hook calls AWS itself, so that AWS's web pages show the result."""
    host = urlsplit(hook.conn_client_meta.endpoint_url).hostname or ""
    return host.endswith(_AWS_DOMAINS)


def _console_quote(text: str) -> str:
    # The console expects the fragment to be quoted twice, with $ instead of % the second time.
    return quote(quote(text, safe=""), safe="").replace("%", "$")
