"""Poll many executions of one pipeline at once."""

from __future__ import annotations

import math
from collections.abc import Collection
from datetime import datetime, timedelta

from botocore.exceptions import ClientError

from sagemaker_pipelines.aws.client import PAGE_SIZE, SageMakerClient
from sagemaker_pipelines.aws.errors import is_missing

#: Up to this number, executions are described one by one; more are found in the pipeline's list.
MAX_DESCRIBED = 2


class ExecutionSurvey:
    """The statuses of a pipeline's executions, with as few calls as they need.

    One or two executions are described. If there are more, ListPipelineExecutions is read, newest first, 100
    per page, until each has been found; the age of the oldest one limits the pages of the next poll.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ListPipelineExecutions.html

    :param client: calls AWS.
    :param pipeline_name: the pipeline's name or ARN.
    :ivar calls: the number of calls of the last poll.
    :ivar started: when each execution began, if AWS has returned it.
    """

    def __init__(self, client: SageMakerClient, pipeline_name: str) -> None:
        self.client = client
        self.pipeline_name = pipeline_name
        self.calls = 0
        self.started: dict[str, datetime] = {}

    def look(self, arns: Collection[str]) -> dict[str, str | ClientError]:
        """Return the status of each execution, or AWS's error if the execution does not exist.

        :param arns: executions of this pipeline.
        """
        self.calls = 0
        self.started = {arn: started for arn, started in self.started.items() if arn in arns}
        found: dict[str, str | ClientError] = {}
        if len(arns) > MAX_DESCRIBED:
            found.update(self._listed(set(arns)))
        for arn in arns:
            if arn not in found:
                found[arn] = self._described(arn)
        return found

    def _listed(self, arns: set[str]) -> dict[str, str]:
        statuses: dict[str, str] = {}
        read = 0
        for summary in self.client.list_executions(self.pipeline_name, **self._bound(arns)):
            read += 1
            arn = summary["PipelineExecutionArn"]
            if arn in arns:
                statuses[arn] = summary["PipelineExecutionStatus"]
                if "StartTime" in summary:
                    self.started[arn] = summary["StartTime"]
                if len(statuses) == len(arns):
                    break
        self.calls += max(1, math.ceil(read / PAGE_SIZE))
        return statuses

    def _bound(self, arns: set[str]) -> dict[str, datetime]:
        """Return the filter that excludes everything older than the oldest watched execution."""
        if not arns <= self.started.keys():
            return {}
        return {"CreatedAfter": min(self.started[arn] for arn in arns) - timedelta(minutes=1)}

    def _described(self, arn: str) -> str | ClientError:
        self.calls += 1
        try:
            execution = self.client.describe_execution(arn)
        except ClientError as error:
            if not is_missing(error):
                raise
            return error
        if "CreationTime" in execution:
            self.started[arn] = execution["CreationTime"]
        return str(execution["PipelineExecutionStatus"])
