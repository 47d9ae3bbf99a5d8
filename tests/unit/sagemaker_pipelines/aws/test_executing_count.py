"""The count of what executes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from botocore.stub import ANY, Stubber

from sagemaker_pipelines.aws.client import SageMakerClient
from sagemaker_pipelines.aws.environment import executing_count
from tests.unit.sagemaker_pipelines.samples import ARN, PIPELINE_ARN

NOW = datetime.now(UTC)


def _pipelines(stub: Stubber, last: dict[str, datetime]) -> None:
    summaries = [
        {"PipelineArn": PIPELINE_ARN, "PipelineName": name, "LastExecutionTime": moment}
        for name, moment in last.items()
    ]
    stub.add_response(
        "list_pipelines",
        {"PipelineSummaries": summaries},
        {"PipelineNamePrefix": "dev", "SortBy": "Name", "SortOrder": "Ascending", "MaxResults": 100},
    )


def _executions(stub: Stubber, name: str, *statuses: str) -> None:
    summaries = [{"PipelineExecutionArn": ARN, "PipelineExecutionStatus": status} for status in statuses]
    stub.add_response(
        "list_pipeline_executions",
        {"PipelineExecutionSummaries": summaries},
        {
            "PipelineName": name,
            "CreatedAfter": ANY,
            "SortBy": "CreationTime",
            "SortOrder": "Descending",
            "MaxResults": 100,
        },
    )


def test_what_runs_is_counted_over_all_pipelines_that_ran_lately(
    client: SageMakerClient, sagemaker: Stubber
) -> None:
    _pipelines(sagemaker, {"dev-one": NOW, "dev-old": NOW - timedelta(days=3), "dev-two": NOW, "devil": NOW})
    _executions(sagemaker, "dev-one", "Executing", "Succeeded", "Stopping")
    _executions(sagemaker, "dev-two", "Failed", "Executing")
    assert executing_count(client, limit=10) == 3


def test_counting_ends_at_the_limit(client: SageMakerClient, sagemaker: Stubber) -> None:
    _pipelines(sagemaker, {"dev-one": NOW, "dev-two": NOW})
    _executions(sagemaker, "dev-one", "Executing", "Executing", "Executing")
    assert executing_count(client, limit=2) == 2
