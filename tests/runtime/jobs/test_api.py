from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sagemaker_local_runtime.runtime import Runtime
from sagemaker_local_runtime.server import LocalServer
from sagemaker_local_runtime.settings import Settings
from tests.runtime.jobs.conftest import BUCKET, processing_request
from tests.waiting import until


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    data_dir: Path = tmp_path_factory.mktemp("server")
    with LocalServer(Settings(data_dir=data_dir, port=0)) as running:
        running.runtime.account.client("s3").create_bucket(Bucket=BUCKET)
        yield running


@pytest.fixture
def sagemaker(server: LocalServer) -> Any:
    return server.runtime.account.client("sagemaker")


@pytest.fixture
def served(server: LocalServer) -> Runtime:
    return server.runtime


def wait_for_end(sagemaker: Any, name: str) -> dict[str, Any]:
    sagemaker.get_waiter("processing_job_completed_or_stopped").wait(
        ProcessingJobName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 300}
    )
    return dict(sagemaker.describe_processing_job(ProcessingJobName=name))


def test_a_job_runs_and_is_described_over_http(served: Runtime, sagemaker: Any) -> None:
    request = processing_request(served, "over-http", "print('hello from the job')")
    request["Tags"] = [{"Key": "team", "Value": "a"}]
    arn = sagemaker.create_processing_job(**request)["ProcessingJobArn"]
    assert arn == "arn:aws:sagemaker:us-east-1:123456789012:processing-job/over-http"
    job = wait_for_end(sagemaker, "over-http")
    assert job["ProcessingJobStatus"] == "Completed"
    assert job["ProcessingEndTime"] >= job["ProcessingStartTime"]
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == request["Tags"]


def test_a_job_is_deleted_after_its_end_and_not_before(
    served: Runtime, sagemaker: Any, tmp_path: Path
) -> None:
    script = f"import os, time\nwhile not os.path.exists({str(tmp_path / 'gate')!r}): time.sleep(0.05)"
    request = processing_request(served, "deleted", script)
    arn = sagemaker.create_processing_job(**request, Tags=[{"Key": "team", "Value": "a"}])["ProcessingJobArn"]
    with pytest.raises(ClientError, match="is in status InProgress"):
        sagemaker.delete_processing_job(ProcessingJobName="deleted")
    sagemaker.stop_processing_job(ProcessingJobName="deleted")
    wait_for_end(sagemaker, "deleted")
    sagemaker.delete_processing_job(ProcessingJobName="deleted")
    for call in (sagemaker.describe_processing_job, sagemaker.delete_processing_job):
        with pytest.raises(ClientError, match="Could not find requested job"):
            call(ProcessingJobName="deleted")
    with pytest.raises(ClientError, match="Could not find requested job"):
        sagemaker.list_tags(ResourceArn=arn)
    assert not served.jobs.log_path("processing", "deleted").exists()


def test_output_arrives_in_the_log_group_and_can_be_followed_by_token(
    served: Runtime, sagemaker: Any, tmp_path: Path
) -> None:
    script = """
        import os, time
        print("first")
        while not os.path.exists(os.environ["GATE"]):
            time.sleep(0.05)
        print("last")
    """
    gate = tmp_path / "gate"
    sagemaker.create_processing_job(
        **processing_request(served, "followed", script, Environment={"GATE": str(gate)})
    )
    logs = served.account.client("logs")
    group = "/aws/sagemaker/ProcessingJobs"

    def first_answer() -> dict[str, Any] | None:
        try:
            found = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix="followed/")
        except logs.exceptions.ResourceNotFoundException:
            return None  # the first output of a kind of job creates the group
        for item in found["logStreams"]:
            read = {"logGroupName": group, "logStreamName": item["logStreamName"], "startFromHead": True}
            answer = logs.get_log_events(**read)
            if answer["events"]:
                return {**answer, "stream": item["logStreamName"]}
        return None

    answer = until(first_answer, "the first line")
    stream = answer["stream"]
    assert [event["message"] for event in answer["events"]] == ["first"]
    assert (
        sagemaker.describe_processing_job(ProcessingJobName="followed")["ProcessingJobStatus"] == "InProgress"
    )
    gate.touch()
    wait_for_end(sagemaker, "followed")
    answer = logs.get_log_events(
        logGroupName=group, logStreamName=stream, nextToken=answer["nextForwardToken"], startFromHead=True
    )
    assert [event["message"] for event in answer["events"]] == ["last"]
    assert stream.startswith("followed/algo-1-")


def test_a_stopped_job_is_stopped(served: Runtime, sagemaker: Any) -> None:
    sagemaker.create_processing_job(**processing_request(served, "halt", "import time; time.sleep(3600)"))
    sagemaker.stop_processing_job(ProcessingJobName="halt")
    assert wait_for_end(sagemaker, "halt")["ProcessingJobStatus"] == "Stopped"
    with pytest.raises(ClientError, match="the processing job is in status Stopped"):
        sagemaker.stop_processing_job(ProcessingJobName="halt")


def test_jobs_are_listed_by_page_name_and_status(served: Runtime, sagemaker: Any) -> None:
    for number in range(3):
        sagemaker.create_processing_job(**processing_request(served, f"listed-{number}", ""))
        wait_for_end(sagemaker, f"listed-{number}")
    pages = sagemaker.get_paginator("list_processing_jobs").paginate(
        NameContains="LISTED", StatusEquals="Completed", SortBy="Name", PaginationConfig={"PageSize": 2}
    )
    sizes_and_names = [[job["ProcessingJobName"] for job in one["ProcessingJobSummaries"]] for one in pages]
    assert sizes_and_names == [["listed-2", "listed-1"], ["listed-0"]]
    failed = sagemaker.list_processing_jobs(NameContains="listed", StatusEquals="Failed")
    assert failed["ProcessingJobSummaries"] == []


@pytest.mark.parametrize(
    ("action", "argument", "message"),
    [
        ("describe_processing_job", "ProcessingJobName", "Could not find requested job with name: absent"),
        ("describe_training_job", "TrainingJobName", "Requested resource not found."),
        ("describe_transform_job", "TransformJobName", "Could not find requested job with name: absent"),
        ("stop_training_job", "TrainingJobName", "Requested resource not found."),
    ],
)
def test_a_missing_job_gives_awss_error(sagemaker: Any, action: str, argument: str, message: str) -> None:
    with pytest.raises(ClientError) as failed:
        getattr(sagemaker, action)(**{argument: "absent"})
    assert failed.value.response["Error"] == {"Code": "ValidationException", "Message": message}


def test_a_taken_name_gives_resource_in_use(served: Runtime, sagemaker: Any) -> None:
    request = processing_request(served, "taken", "")
    sagemaker.create_processing_job(**request)
    with pytest.raises(ClientError) as failed:
        sagemaker.create_processing_job(**request)
    assert failed.value.response["Error"]["Code"] == "ResourceInUse"
