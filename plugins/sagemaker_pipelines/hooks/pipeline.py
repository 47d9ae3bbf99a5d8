"""Call SageMaker for pipelines and their executions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from sagemaker_pipelines.aws.errors import is_missing
from sagemaker_pipelines.aws.gate import GateReading, read_gate, registered_model_package
from sagemaker_pipelines.aws.objects import split_s3_uri, stored_objects
from sagemaker_pipelines.aws.outcome import ExecutionOutcome, conclude, parse_definition
from sagemaker_pipelines.aws.upsert import PipelineUpsert, UpsertResult
from sagemaker_pipelines.definition import Envelope
from sagemaker_pipelines.exceptions import DefinitionError
from sagemaker_pipelines.hooks.connection import SageMakerConnectionHook


class SageMakerPipelineHook(SageMakerConnectionHook):
    """Call SageMaker for pipelines and their executions; a hook holds calls, and no judgement.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_Operations_Amazon_SageMaker_Service.html
    """

    # -- Pipelines -------------------------------------------------------------------------------------

    def upsert_pipeline(self, envelope: Envelope, **options: Any) -> UpsertResult:
        """Create or update the pipeline of a compiled definition where it differs from what is deployed.

        :param envelope: the compiled definition.
        :param options: see :class:`~sagemaker_pipelines.aws.upsert.PipelineUpsert`.
        """
        return PipelineUpsert(self, envelope, **options).run()

    def latest_version_id(self, pipeline_name: str) -> int | None:
        """Return the newest PipelineVersionId; None where the pipeline, or a version of it, is missing."""
        return self._version_id(pipeline_name, "Descending")

    def first_version_id(self, pipeline_name: str) -> int | None:
        """Return the PipelineVersionId that the pipeline was created with; None as above."""
        return self._version_id(pipeline_name, "Ascending")

    def _version_id(self, pipeline_name: str, sort_order: str) -> int | None:
        # Neither CreatePipeline nor DescribePipeline tells the version.
        try:
            answer = self.conn.list_pipeline_versions(
                PipelineName=pipeline_name, SortOrder=sort_order, MaxResults=1
            )
        except ClientError as error:
            if is_missing(error):
                return None
            raise
        versions = answer["PipelineVersionSummaries"]
        return int(versions[0]["PipelineVersionId"]) if versions else None

    def describe_pipeline(
        self, pipeline_name: str, *, pipeline_version_id: int | None = None
    ) -> dict[str, Any] | None:
        """Return DescribePipeline's answer, of one version or the newest; None where it is missing."""
        version = {} if pipeline_version_id is None else {"PipelineVersionId": pipeline_version_id}
        try:
            answer: dict[str, Any] = self.conn.describe_pipeline(PipelineName=pipeline_name, **version)
        except ClientError as error:
            if is_missing(error):
                return None
            raise
        return answer

    def deployed_definition(
        self, pipeline_name: str, *, pipeline_version_id: int | None = None
    ) -> dict[str, Any]:
        """Return the definition that a start would execute.

        :raises DefinitionError: there is no such pipeline.
        """
        described = self.describe_pipeline(pipeline_name, pipeline_version_id=pipeline_version_id)
        if described is None:
            raise DefinitionError(
                f"There is no pipeline {pipeline_name!r} (version {pipeline_version_id or 'newest'}) in "
                f"{self.conn_region_name}. Upsert it first."
            )
        return parse_definition(described["PipelineDefinition"])

    # -- Executions ------------------------------------------------------------------------------------

    def start_execution(self, request: dict[str, Any]) -> str:
        """Start an execution and return its ARN.

        :param request: the arguments of StartPipelineExecution.
            https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StartPipelineExecution.html
        """
        answer = self.conn.start_pipeline_execution(**request)
        return str(answer["PipelineExecutionArn"])

    def describe_execution(self, pipeline_execution_arn: str) -> dict[str, Any]:
        """Return DescribePipelineExecution's answer."""
        answer: dict[str, Any] = self.conn.describe_pipeline_execution(
            PipelineExecutionArn=pipeline_execution_arn
        )
        return answer

    def list_steps(self, pipeline_execution_arn: str) -> list[dict[str, Any]]:
        """Return the steps that have begun, oldest first, over all pages."""
        return list(
            self._pages(
                "list_pipeline_execution_steps",
                "PipelineExecutionSteps",
                PipelineExecutionArn=pipeline_execution_arn,
                SortOrder="Ascending",
            )
        )

    def list_executions(self, pipeline_name: str, **filters: Any) -> Iterator[dict[str, Any]]:
        """Yield summaries of a pipeline's executions, newest first, over all pages.

        :param filters: further arguments of ListPipelineExecutions, such as ``CreatedAfter``.
        """
        return self._pages(
            "list_pipeline_executions",
            "PipelineExecutionSummaries",
            PipelineName=pipeline_name,
            SortBy="CreationTime",
            SortOrder="Descending",
            **filters,
        )

    def execution_parameters(self, pipeline_execution_arn: str) -> dict[str, str]:
        """Return the parameters that an execution runs with, as AWS tells them."""
        pairs = self._pages(
            "list_pipeline_parameters_for_execution",
            "PipelineParameters",
            PipelineExecutionArn=pipeline_execution_arn,
        )
        return {pair["Name"]: pair["Value"] for pair in pairs}

    def execution_definition(self, pipeline_execution_arn: str) -> dict[str, Any]:
        """Return the definition that an execution runs, whatever was deployed since."""
        answer = self.conn.describe_pipeline_definition_for_execution(
            PipelineExecutionArn=pipeline_execution_arn
        )
        return parse_definition(answer["PipelineDefinition"])

    def retry_execution(self, pipeline_execution_arn: str, *, token: str) -> None:
        """Resume a failed or stopped execution; its succeeded steps are kept.

        :param token: the ClientRequestToken; the same one resumes only once.
        """
        self.conn.retry_pipeline_execution(
            PipelineExecutionArn=pipeline_execution_arn, ClientRequestToken=token
        )

    def describe_owner(self, pipeline_execution_arn: str, description: str | None) -> None:
        """Write into an execution's description whose it is from now on; a refusal is only logged.

        :param description: the new PipelineExecutionDescription; None changes nothing.
        """
        if description is None:
            return
        try:
            self.conn.update_pipeline_execution(
                PipelineExecutionArn=pipeline_execution_arn, PipelineExecutionDescription=description
            )
        except ClientError as error:
            self.log.warning("The description of %s stays as it was: %s", pipeline_execution_arn, error)

    def find_execution(
        self, pipeline_name: str, *, generation: str, created_after: datetime, client: Any = None
    ) -> str | None:
        """Return the ARN of the execution that a logical start has begun; None where there is none.

        :param generation: the start's random id, which the execution's description holds whatever was added.
        :param created_after: no execution older than this is looked at.
        :param client: the boto3 client to ask with; None takes the hook's own.
        """
        pages = (
            (client or self.conn)
            .get_paginator("list_pipeline_executions")
            .paginate(
                PipelineName=pipeline_name,
                CreatedAfter=created_after,
                SortBy="CreationTime",
                SortOrder="Descending",
            )
        )
        for page in pages:
            for summary in page["PipelineExecutionSummaries"]:
                if f" generation={generation}" in summary.get("PipelineExecutionDescription", ""):
                    return str(summary["PipelineExecutionArn"])
        return None

    def stop_execution(self, pipeline_execution_arn: str) -> str:
        """Stop an execution and return its status afterwards; one that has ended is left as it is."""
        return str(self.stop_pipeline(pipeline_execution_arn, fail_if_not_running=False))

    def execution_outcome(
        self, pipeline_execution_arn: str, *, rejection_steps: Iterable[str] | None = None
    ) -> ExecutionOutcome:
        """Judge an execution that has ended: see :func:`~sagemaker_pipelines.aws.outcome.conclude`."""
        return conclude(self, pipeline_execution_arn, rejection_steps=rejection_steps)

    def read_gate(self, pipeline_execution_arn: str, *, condition_step: str | None = None) -> GateReading:
        """Read metric and threshold: see :func:`~sagemaker_pipelines.aws.gate.read_gate`."""
        return read_gate(self, pipeline_execution_arn, condition_step=condition_step)

    # -- Model packages --------------------------------------------------------------------------------

    def newest_approved_model_package(self, model_package_group_name: str) -> str | None:
        """Return the ARN of the group's newest Approved model package; None where there is none."""
        packages = self._pages(
            "list_model_packages",
            "ModelPackageSummaryList",
            ModelPackageGroupName=model_package_group_name,
            ModelApprovalStatus="Approved",
            SortBy="CreationTime",
            SortOrder="Descending",
        )
        arns = (
            str(package["ModelPackageArn"])
            for package in packages
            if package["ModelPackageStatus"] == "Completed"
        )
        return next(arns, None)

    def registered_model_package(self, pipeline_execution_arn: str) -> str | None:
        """Return the ARN of the model package that an execution registered; None where there is none."""
        return registered_model_package(self, pipeline_execution_arn)

    def describe_model_package(self, model_package_name: str) -> dict[str, Any]:
        """Return DescribeModelPackage's answer, by name or ARN."""
        answer: dict[str, Any] = self.conn.describe_model_package(ModelPackageName=model_package_name)
        return answer

    # -- S3 --------------------------------------------------------------------------------------------

    def object_exists(self, uri: str) -> bool:
        """Return whether S3 holds an object at this URI or below it, as a folder.

        :raises ValueError: the URI is not of the form ``s3://bucket/key``.
        """
        return any(True for _ in stored_objects(self.s3, uri, page_size=1))

    def has_data(self, uri: str) -> bool:
        """Return whether any data lie at this URI or below it; see :meth:`data_objects`."""
        return any(True for _ in self.data_objects(uri))

    def data_objects(self, uri: str) -> Iterator[str]:
        """Yield the URIs of the data at this URI or below it, in the order of their keys.

        Empty objects do not count, nor what writers hide until it is complete: names that begin with an
        underscore or a dot, such as Spark's ``_temporary/``.
        """
        bucket, key = split_s3_uri(uri)
        for item in stored_objects(self.s3, uri):
            if item["Size"] and not re.search(r"(^|/)[_.]", item["Key"][len(key) :]):
                yield f"s3://{bucket}/{item['Key']}"

    def read_object(self, uri: str) -> bytes:
        """Return the content of the object at this URI."""
        bucket, key = split_s3_uri(uri)
        content: bytes = self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        return content

    def _pages(self, operation: str, key: str, **arguments: Any) -> Iterator[dict[str, Any]]:
        token: dict[str, str] = {}
        while True:
            answer = getattr(self.conn, operation)(**arguments, MaxResults=100, **token)
            yield from answer[key]
            if not answer.get("NextToken"):
                return
            token = {"NextToken": answer["NextToken"]}
