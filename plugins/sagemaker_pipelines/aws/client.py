"""Call SageMaker, S3, Lambda and CloudWatch Logs for pipelines and their executions."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from sagemaker_pipelines.aws.account import Account, Logger
from sagemaker_pipelines.aws.errors import is_missing
from sagemaker_pipelines.aws.objects import split_s3_uri, stored_objects
from sagemaker_pipelines.aws.steps import Step
from sagemaker_pipelines.definition import parse_definition
from sagemaker_pipelines.exceptions import DefinitionError, ParameterError
from sagemaker_pipelines.settings import PipelineSettings

# The most that SageMaker lists in one answer.
PAGE_SIZE = 100


class SageMakerClient:
    """The calls that this package makes to AWS; other modules decide what the answers mean.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_Operations_Amazon_SageMaker_Service.html

    :param account: creates each boto3 client when it is first needed.
    """

    def __init__(self, account: Account) -> None:
        self.account = account

    @cached_property
    def sagemaker(self) -> Any:
        """The boto3 client of SageMaker."""
        return self.account.boto3_client("sagemaker")

    @cached_property
    def s3(self) -> Any:
        """The boto3 client of S3."""
        return self.account.boto3_client("s3")

    @cached_property
    def logs(self) -> Any:
        """The boto3 client of CloudWatch Logs."""
        return self.account.boto3_client("logs")

    @cached_property
    def functions(self) -> Any:
        """The boto3 client of Lambda."""
        return self.account.boto3_client("lambda")

    @property
    def region(self) -> str:
        """The region in which SageMaker is called."""
        return str(self.sagemaker.meta.region_name)

    @property
    def settings(self) -> PipelineSettings:
        """The account's environment."""
        return self.account.settings

    @property
    def log(self) -> Logger:
        """The account's logger."""
        return self.account.log

    def reconnect(self) -> None:
        """Discard the clients, so that the next call uses credentials that were renewed in the meantime."""
        self.account.renew()
        for name in ("sagemaker", "s3", "logs", "functions"):
            self.__dict__.pop(name, None)

    def pages(self, operation: str, key: str, **arguments: Any) -> Iterator[dict[str, Any]]:
        """Yield the items of a List operation of SageMaker, from all pages.

        :param operation: its name in boto3, such as ``"list_pipelines"``.
        :param key: the member of the answer that contains the items.
        :param arguments: the arguments of the operation.
        """
        paginator = self.sagemaker.get_paginator(operation)
        for page in paginator.paginate(**arguments, PaginationConfig={"PageSize": PAGE_SIZE}):
            yield from page[key]

    # -- Pipelines -------------------------------------------------------------------------------------

    def pipelines(self, name_prefix: str) -> Iterator[dict[str, Any]]:
        """Yield the summaries of the pipelines whose names begin with a prefix, in the order of their names.

        :param name_prefix: the environment's prefix; if it is empty, every pipeline of the account and region
            is yielded.
        """
        # AWS does not accept a prefix that ends with a hyphen, as those of environments do.
        stem = name_prefix.rstrip("-")
        filters = {"PipelineNamePrefix": stem} if stem else {}
        found = self.pages(
            "list_pipelines", "PipelineSummaries", SortBy="Name", SortOrder="Ascending", **filters
        )
        return (summary for summary in found if summary["PipelineName"].startswith(name_prefix))

    def describe_pipeline(
        self, pipeline_name: str, *, pipeline_version_id: int | None = None
    ) -> dict[str, Any] | None:
        """Return DescribePipeline's answer for one version or the newest; None if that does not exist."""
        version = {} if pipeline_version_id is None else {"PipelineVersionId": pipeline_version_id}
        try:
            answer: dict[str, Any] = self.sagemaker.describe_pipeline(PipelineName=pipeline_name, **version)
        except ClientError as error:
            if is_missing(error):
                return None
            raise
        return answer

    def deployed_definition(
        self, pipeline_name: str, *, pipeline_version_id: int | None = None
    ) -> dict[str, Any]:
        """Return the definition that a start would execute.

        :raises DefinitionError: the pipeline or the version does not exist.
        """
        described = self.describe_pipeline(pipeline_name, pipeline_version_id=pipeline_version_id)
        if described is None:
            raise DefinitionError(
                f"There is no pipeline {pipeline_name!r} (version {pipeline_version_id or 'newest'}) in "
                f"{self.region}. Upsert it first."
            )
        return parse_definition(described["PipelineDefinition"])

    # -- Executions ------------------------------------------------------------------------------------

    def start_execution(self, request: dict[str, Any]) -> str:
        """Start an execution and return its ARN.

        :param request: the arguments of StartPipelineExecution.
            https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StartPipelineExecution.html
        """
        answer = self.sagemaker.start_pipeline_execution(**request)
        return str(answer["PipelineExecutionArn"])

    def describe_execution(self, pipeline_execution_arn: str) -> dict[str, Any]:
        """Return DescribePipelineExecution's answer."""
        answer: dict[str, Any] = self.sagemaker.describe_pipeline_execution(
            PipelineExecutionArn=pipeline_execution_arn
        )
        return answer

    def execution_status(self, pipeline_execution_arn: str) -> str:
        """Return the PipelineExecutionStatus."""
        return str(self.describe_execution(pipeline_execution_arn)["PipelineExecutionStatus"])

    def list_steps(self, pipeline_execution_arn: str) -> list[Step]:
        """Return the steps that have begun, oldest first."""
        found = self.pages(
            "list_pipeline_execution_steps",
            "PipelineExecutionSteps",
            PipelineExecutionArn=pipeline_execution_arn,
            SortOrder="Ascending",
        )
        return [Step.read(step) for step in found]

    def list_executions(self, pipeline_name: str, **filters: Any) -> Iterator[dict[str, Any]]:
        """Yield summaries of a pipeline's executions, newest first, from all pages.

        :param filters: more arguments of ListPipelineExecutions, such as ``CreatedAfter``.
        """
        return self.pages(
            "list_pipeline_executions",
            "PipelineExecutionSummaries",
            PipelineName=pipeline_name,
            SortBy="CreationTime",
            SortOrder="Descending",
            **filters,
        )

    def execution_parameters(self, pipeline_execution_arn: str) -> dict[str, str]:
        """Return the parameters of an execution, as AWS lists them."""
        pairs = self.pages(
            "list_pipeline_parameters_for_execution",
            "PipelineParameters",
            PipelineExecutionArn=pipeline_execution_arn,
        )
        return {pair["Name"]: pair["Value"] for pair in pairs}

    def execution_definition(self, pipeline_execution_arn: str) -> dict[str, Any]:
        """Return the definition that an execution runs, even if another one has been deployed since."""
        answer = self.sagemaker.describe_pipeline_definition_for_execution(
            PipelineExecutionArn=pipeline_execution_arn
        )
        return parse_definition(answer["PipelineDefinition"])

    def retry_execution(self, pipeline_execution_arn: str, *, token: str) -> None:
        """Resume a failed or stopped execution; the steps that succeeded are kept.

        :param token: the ClientRequestToken; the same token resumes only once.
        """
        self.sagemaker.retry_pipeline_execution(
            PipelineExecutionArn=pipeline_execution_arn, ClientRequestToken=token
        )

    def describe_owner(self, pipeline_execution_arn: str, description: str | None) -> None:
        """Write into an execution's description who owns it from now on; if AWS refuses, only log it.

        :param description: the new PipelineExecutionDescription; None changes nothing.
        """
        if description is None:
            return
        try:
            self.sagemaker.update_pipeline_execution(
                PipelineExecutionArn=pipeline_execution_arn, PipelineExecutionDescription=description
            )
        except ClientError as error:
            self.log.warning("The description of %s was not changed: %s", pipeline_execution_arn, error)

    def find_execution(
        self, pipeline_name: str, *, generation: str, created_after: datetime, sagemaker: Any = None
    ) -> str | None:
        """Return the ARN of the execution that a logical start has begun; None if there is none.

        :param generation: the start's random id, which the execution's description always contains.
        :param created_after: older executions are ignored.
        :param sagemaker: the boto3 client to use; None means :attr:`sagemaker`.
        """
        pages = (
            (sagemaker or self.sagemaker)
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

    # -- S3 --------------------------------------------------------------------------------------------

    def object_exists(self, uri: str) -> bool:
        """Return whether S3 has an object at this URI, or in the folder of this name.

        :raises ValueError: the URI is not of the form ``s3://bucket/key``.
        """
        return any(True for _ in stored_objects(self.s3, uri, page_size=1))

    def has_data(self, uri: str) -> bool:
        """Return whether there is any data at this URI or below it; see :meth:`data_objects`."""
        return any(True for _ in self.data_objects(uri))

    def data_objects(self, uri: str) -> Iterator[str]:
        """Yield the URIs of the data objects at this URI or below it, in the order of their keys.

        Empty objects do not count, nor do objects that writers hide until they are complete: names that begin
        with an underscore or a dot, such as Spark's ``_temporary/``.
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

    def write_json(self, uri: str, value: object) -> None:
        """Write a JSON document in one request, so that a reader sees the old or the new one, never a part.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html

        :param uri: the object, ``s3://bucket/key``; an existing object is replaced.
        :param value: JSON types.
        :raises ParameterError: the URI is not the URI of an object.
        """
        parts = urlsplit(uri, allow_fragments=False)
        key = parts.path.removeprefix("/")
        if parts.scheme != "s3" or not parts.netloc or not key or key.endswith("/"):
            raise ParameterError(
                f"{uri!r} is not the URI of an object; expected s3://<bucket>/<key>. Correct it."
            )
        body = json.dumps(value, indent=2, sort_keys=True).encode()
        content_type = "application/json"
        self.s3.put_object(
            Bucket=parts.netloc, Key=key, Body=body, ContentType=content_type, **self.encryption
        )

    @property
    def encryption(self) -> dict[str, str]:
        """The arguments of PutObject that encrypt with the environment's KMS key, if it has one."""
        key = self.settings.kms_key_id
        return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key} if key else {}
