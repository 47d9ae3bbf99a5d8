"""A disk that is full refuses changes with a 5xx, and harms nothing that was answered before."""

from __future__ import annotations

import contextlib
import gc
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sagemaker_local_runtime.settings import Settings
from sagemaker_local_runtime.testing import LocalRuntime, RuntimeProcess
from sagemaker_local_runtime.testing_client import Endpoint
from tests.processes import processes_with
from tests.runtime.engine.definitions import pipeline
from tests.runtime.engine.doubles import token
from tests.runtime.engine.test_real_jobs import job
from tests.runtime.server.test_durable_s3 import bodies, restarted
from tests.waiting import until

OLD, NEW = b"old" * 1000, b"new" * 100_000

pytestmark = pytest.mark.thorough


class SmallDisk:
    """A file system of 8 MiB that tests can fill.

    :param path: where it is mounted.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(path)], check=True)

    def fill(self) -> None:
        """Take every byte that is left."""
        with (self.path / "ballast").open("wb", buffering=0) as file:
            try:
                while file.write(bytes(1 << 12)):
                    pass
            except OSError:
                return

    def free(self) -> None:
        (self.path / "ballast").unlink()

    def unmount(self) -> None:
        subprocess.run(["umount", "--lazy", str(self.path)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a small file system")
    try:
        disk = SmallDisk(tmp_path / "disk")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"cannot mount a small file system: {error}")
    yield disk
    disk.unmount()


@pytest.fixture
def runtime(disk: SmallDisk) -> Iterator[RuntimeProcess]:
    runtime = RuntimeProcess(Settings(data_dir=disk.path / "runtime", port=0))
    yield runtime
    runtime.close()


@pytest.fixture
def runtimes(tmp_path: Path) -> Iterator[list[LocalRuntime]]:
    """A runtime in process, to which the test adds those that follow it."""
    runtimes = [LocalRuntime(Settings(data_dir=tmp_path / "runtime", port=0))]
    yield runtimes
    runtimes[-1].close()


def refused(call: Any, **request: Any) -> None:
    with pytest.raises(ClientError) as raised:
        call(**request)
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500, raised.value


def test_a_refused_put_leaves_the_object_that_was_there(runtime: RuntimeProcess, disk: SmallDisk) -> None:
    uri = runtime.put("k", OLD)
    disk.fill()
    refused(runtime.client("s3").put_object, Bucket=runtime.bucket, Key="k", Body=NEW)
    assert runtime.get(uri) == OLD
    runtime.kill()
    disk.free()
    runtime.start_process()
    assert runtime.get(uri) == OLD
    runtime.put("k", NEW)
    assert runtime.get(uri) == NEW


def waiting_job(gate: Path) -> dict[str, Any]:
    """Return a definition whose job fails when the gate exists."""
    code = (
        f"import pathlib, sys, time; gate = pathlib.Path({str(gate)!r}); print('started', flush=True)\n"
        "while not gate.exists(): time.sleep(0.05)\n"
        "sys.exit('as the gate says')"
    )
    return pipeline(job("Wait", code))


def until_its_job_runs(runtime: Endpoint) -> None:
    """Wait for a job's output, which the runtime reads once it has recorded the job's process."""
    logs = runtime.settings.data_dir / "jobs"
    until(lambda: any("started" in log.read_text() for log in logs.rglob("output.log")), "the job")


def test_an_execution_whose_job_ends_on_a_full_disk_ends_when_there_is_room(
    runtime: RuntimeProcess, disk: SmallDisk, tmp_path: Path
) -> None:
    arn = runtime.start(runtime.create_pipeline(waiting_job(tmp_path / "gate")))
    until_its_job_runs(runtime)
    disk.fill()
    (tmp_path / "gate").touch()
    until(lambda: not processes_with(str(tmp_path / "gate")), "the job's end")
    disk.free()
    assert runtime.wait(arn)["PipelineExecutionStatus"] == "Failed"
    assert "exit code: 1" in runtime.steps(arn)["Wait"]["FailureReason"]
    runtime.client("sagemaker").retry_pipeline_execution(PipelineExecutionArn=arn, ClientRequestToken=token())
    assert runtime.wait(arn)["PipelineExecutionStatus"] == "Failed"


def test_a_job_whose_end_cannot_be_recorded_is_running_until_it_can(
    runtimes: list[LocalRuntime], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    local_runtime = runtimes[0]
    arn = local_runtime.start(local_runtime.create_pipeline(waiting_job(tmp_path / "gate")))
    until_its_job_runs(local_runtime)
    database = local_runtime.runtime.account.store._db
    database.execute("PRAGMA query_only = ON")
    (tmp_path / "gate").touch()
    until(lambda: "The store cannot be written" in caplog.text, "the end to be refused")
    sagemaker = local_runtime.client("sagemaker")
    execution = sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
    assert execution["PipelineExecutionStatus"] == "Executing"
    refused(sagemaker.stop_pipeline_execution, PipelineExecutionArn=arn, ClientRequestToken=token())
    database.execute("PRAGMA query_only = OFF")
    assert local_runtime.wait(arn)["PipelineExecutionStatus"] == "Failed"
    assert local_runtime.steps(arn)["Wait"]["StepStatus"] == "Failed"


def test_a_stop_that_was_refused_can_be_asked_for_again(runtimes: list[LocalRuntime], tmp_path: Path) -> None:
    local_runtime = runtimes[0]
    arn = local_runtime.start(local_runtime.create_pipeline(waiting_job(tmp_path / "gate")))
    until_its_job_runs(local_runtime)
    database, sagemaker = local_runtime.runtime.account.store._db, local_runtime.client("sagemaker")
    database.execute("PRAGMA query_only = ON")
    refused(sagemaker.stop_pipeline_execution, PipelineExecutionArn=arn, ClientRequestToken=token())
    database.execute("PRAGMA query_only = OFF")
    sagemaker.stop_pipeline_execution(PipelineExecutionArn=arn, ClientRequestToken=token())
    assert local_runtime.wait(arn)["PipelineExecutionStatus"] == "Stopped"


def test_a_job_that_could_not_be_created_does_not_exist(
    runtimes: list[LocalRuntime], monkeypatch: pytest.MonkeyPatch
) -> None:
    local_runtime = runtimes[0]

    def refuse(*_: Any) -> None:
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(local_runtime.runtime.jobs._shipper, "open", refuse)
        arn = local_runtime.start(local_runtime.create_pipeline(pipeline(job("Work", "print(1)"))))
        assert local_runtime.wait(arn)["PipelineExecutionStatus"] == "Failed"
    assert "No space left" in local_runtime.steps(arn)["Work"]["FailureReason"]
    sagemaker = local_runtime.client("sagemaker")
    assert sagemaker.list_processing_jobs()["ProcessingJobSummaries"] == []
    sagemaker.retry_pipeline_execution(PipelineExecutionArn=arn, ClientRequestToken=token())
    assert local_runtime.wait(arn)["PipelineExecutionStatus"] == "Succeeded"


def test_output_that_cannot_be_kept_does_not_hold_the_jobs_end_up(runtimes: list[LocalRuntime]) -> None:
    local_runtime = runtimes[0]
    jobs = local_runtime.runtime.jobs
    request = job("Work", "print('much')")["Arguments"] | {"ProcessingJobName": "loud"}
    log = jobs.log_path("processing", "loud")
    log.parent.mkdir(parents=True)
    log.symlink_to("/dev/full")
    local_runtime.client("sagemaker").create_processing_job(**request)
    assert jobs.wait("processing", "loud")["ProcessingJobStatus"] == "Completed"


def everything(runtime: LocalRuntime) -> dict[str, Any]:
    """Return all that a client can see of S3."""
    s3, seen = runtime.client("s3"), {}
    for name in sorted(bucket["Name"] for bucket in s3.list_buckets()["Buckets"]):
        tags, versions = {}, s3.list_object_versions(Bucket=name)
        for version in versions.get("Versions", []):
            named = {"Bucket": name, "Key": version["Key"], "VersionId": version["VersionId"]}
            tags[version["VersionId"], version["Key"]] = (
                s3.get_object(**named)["Body"].read(),
                s3.get_object_tagging(**named)["TagSet"],
            )
        states = s3.get_bucket_versioning(Bucket=name).get("Status")
        seen[name] = (states, tags, versions.get("Versions"), versions.get("DeleteMarkers"))
    return seen


def complete_upload(s3: Any, bucket: str) -> None:
    upload = s3.list_multipart_uploads(Bucket=bucket)["Uploads"][0]
    parts = s3.list_parts(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])["Parts"]
    listed = [{"PartNumber": part["PartNumber"], "ETag": part["ETag"]} for part in parts]
    s3.complete_multipart_upload(
        Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"], MultipartUpload={"Parts": listed}
    )


CHANGES: dict[str, Any] = {
    "put": lambda s3, bucket: s3.put_object(Bucket=bucket, Key="k", Body=b"new"),
    "put a new key": lambda s3, bucket: s3.put_object(Bucket=bucket, Key="n", Body=b"new"),
    "copy": lambda s3, bucket: s3.copy_object(Bucket=bucket, Key="k", CopySource=f"{bucket}/o"),
    "delete": lambda s3, bucket: s3.delete_object(Bucket=bucket, Key="k"),
    "delete several": lambda s3, bucket: s3.delete_objects(
        Bucket=bucket, Delete={"Objects": [{"Key": "k"}, {"Key": "o"}]}
    ),
    "put a version": lambda s3, bucket: s3.put_object(Bucket="versions", Key="v", Body=b"new"),
    "set a delete marker": lambda s3, bucket: s3.delete_object(Bucket="versions", Key="v"),
    "tag": lambda s3, bucket: s3.put_object_tagging(
        Bucket=bucket, Key="k", Tagging={"TagSet": [{"Key": "new", "Value": "tag"}]}
    ),
    "complete an upload": complete_upload,
    "create a bucket": lambda s3, bucket: s3.create_bucket(Bucket="other"),
    "delete a bucket": lambda s3, bucket: s3.delete_bucket(Bucket="empty"),
    "set a bucket's versioning": lambda s3, bucket: s3.put_bucket_versioning(
        Bucket=bucket, VersioningConfiguration={"Status": "Enabled"}
    ),
}


def fill_account(s3: Any, bucket: str) -> None:
    for name in ("versions", "empty"):
        s3.create_bucket(Bucket=name)
    s3.put_bucket_versioning(Bucket="versions", VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket="versions", Key="v", Body=b"first")
    s3.put_object(Bucket=bucket, Key="k", Body=b"old", Tagging="old=tag")
    s3.put_object(Bucket=bucket, Key="o", Body=b"other")
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    s3.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=1, Body=b"part")


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_that_the_store_refuses_is_answered_with_500_and_changes_nothing(
    runtimes: list[LocalRuntime], change: str
) -> None:
    s3, bucket, database = runtimes[0].client("s3"), runtimes[0].bucket, runtimes[0].runtime.account.store._db
    fill_account(s3, bucket)
    before, files = everything(runtimes[0]), bodies(runtimes[0].settings)
    database.execute("PRAGMA query_only = ON")
    with pytest.raises(ClientError) as raised:
        CHANGES[change](s3, bucket)
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    assert everything(runtimes[0]) == before
    gc.collect()
    assert bodies(runtimes[0].settings) == files
    database.execute("PRAGMA query_only = OFF")
    CHANGES[change](s3, bucket)
    after = everything(runtimes[0])
    assert after != before
    runtimes.append(restarted(runtimes[0]))
    assert everything(runtimes[-1]) == after


def test_a_writer_whose_object_another_failed_request_took_back_is_told(
    runtimes: list[LocalRuntime], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own change is in the memory that was taken back: 200 would be wrong."""
    s3, bucket = runtimes[0].client("s3"), runtimes[0].bucket
    s3.put_object(Bucket=bucket, Key="k", Body=b"old")
    durable = runtimes[0].server._static._s3
    commit = durable._commit

    def fail_another_first(scope: Any) -> None:
        monkeypatch.setattr(durable, "_commit", refuse)
        with pytest.raises(ClientError):
            s3.put_object(Bucket=bucket, Key="k", Body=b"another")
        commit(scope)

    def refuse(scope: Any) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(durable, "_commit", fail_another_first)
    with pytest.raises(ClientError, match="send it again"):
        s3.put_object(Bucket=bucket, Key="k", Body=b"new")
    monkeypatch.undo()
    assert runtimes[0].get(f"s3://{bucket}/k") == b"old"
    assert durable._open == []


def test_a_read_that_fails_refuses_nobody_elses_change(
    runtimes: list[LocalRuntime], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read has nothing to take back."""
    durable = runtimes[0].server._static._s3
    commit = durable._commit

    def read() -> None:
        with contextlib.suppress(ValueError), durable.request("GET"):
            raise ValueError("moto cannot read this request")

    def fail_a_read_first(scope: Any) -> None:
        reader = threading.Thread(target=read)
        reader.start()
        reader.join()
        commit(scope)

    monkeypatch.setattr(durable, "_commit", fail_a_read_first)
    runtimes[0].client("s3").create_bucket(Bucket="other")
