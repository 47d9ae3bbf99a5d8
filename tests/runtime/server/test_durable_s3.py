"""S3 objects are files that outlive the process, whatever its end."""

from __future__ import annotations

import gc
import os
import random
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest
from botocore.exceptions import BotoCoreError, ClientError

from sagemaker_local_runtime.settings import Settings
from sagemaker_local_runtime.testing import LocalRuntime, RuntimeProcess
from tests.waiting import GENEROUS_SECONDS, until

KEYS = ["plain.csv", "../../escape", "/absolute", "a//b", "ü ñ/%2e%2e/ x", "..", "nul\x7f", "k" * 1000]


def restarted(runtime: LocalRuntime) -> LocalRuntime:
    runtime.close()
    return LocalRuntime(runtime.settings)


def outside(root: Path) -> list[Path]:
    """Return what lies beside the runtime's data directory."""
    return [path for path in root.iterdir() if path.name != "runtime"]


def bodies(settings: Settings) -> int:
    return sum(1 for path in (settings.data_dir / "s3").glob("??/*"))


@pytest.fixture
def runtime(tmp_path: Path) -> Any:
    runtimes = [LocalRuntime(Settings(data_dir=tmp_path / "runtime", port=0))]
    yield runtimes
    runtimes[-1].close()


def test_objects_with_any_key_survive_a_restart_and_stay_in_the_data_directory(
    runtime: list[LocalRuntime], tmp_path: Path
) -> None:
    before = {key: f"body of {key}".encode() for key in KEYS}
    for key, body in before.items():
        runtime[0].put(key, body)
    runtime.append(restarted(runtime[0]))
    s3 = runtime[-1].client("s3")
    listed = [entry["Key"] for entry in s3.list_objects_v2(Bucket=runtime[-1].bucket)["Contents"]]
    assert sorted(listed) == sorted(KEYS)
    assert {key: runtime[-1].get(f"s3://{runtime[-1].bucket}/{key}") for key in KEYS} == before
    assert outside(tmp_path) == []


def test_what_s3_tells_about_an_object_survives_a_restart(runtime: list[LocalRuntime]) -> None:
    bucket = runtime[0].bucket
    runtime[0].client("s3").put_object(
        Bucket=bucket,
        Key="k",
        Body=b"1,2",
        ContentType="text/csv",
        Metadata={"rows": "1", "with_underscore": "x"},
        Tagging="team=ml",
        StorageClass="STANDARD_IA",
    )
    before = runtime[0].client("s3").head_object(Bucket=bucket, Key="k")
    runtime.append(restarted(runtime[0]))
    s3 = runtime[-1].client("s3")
    after = s3.head_object(Bucket=bucket, Key="k")
    for field in ("ETag", "LastModified", "ContentType", "ContentLength", "Metadata", "StorageClass"):
        assert after[field] == before[field], field
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == [{"Key": "team", "Value": "ml"}]


def test_versions_and_delete_markers_survive_a_restart(runtime: list[LocalRuntime]) -> None:
    bucket, s3 = runtime[0].bucket, runtime[0].client("s3")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    first = s3.put_object(Bucket=bucket, Key="k", Body=b"1")["VersionId"]
    s3.put_object(Bucket=bucket, Key="k", Body=b"2")
    s3.put_object(Bucket=bucket, Key="gone", Body=b"3")
    s3.delete_object(Bucket=bucket, Key="gone")
    runtime.append(restarted(runtime[0]))
    s3 = runtime[-1].client("s3")
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"2"
    assert s3.get_object(Bucket=bucket, Key="k", VersionId=first)["Body"].read() == b"1"
    assert [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["k"]
    assert len(s3.list_object_versions(Bucket=bucket)["DeleteMarkers"]) == 1


def test_multipart_uploads_and_copies_survive_a_restart(runtime: list[LocalRuntime]) -> None:
    bucket, s3 = runtime[0].bucket, runtime[0].client("s3")
    upload = s3.create_multipart_upload(Bucket=bucket, Key="big", ContentType="text/plain")["UploadId"]
    parts = []
    for number, body in enumerate((b"a" * 5 * 1024**2, b"b"), 1):
        part = s3.upload_part(Bucket=bucket, Key="big", UploadId=upload, PartNumber=number, Body=body)
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    s3.complete_multipart_upload(Bucket=bucket, Key="big", UploadId=upload, MultipartUpload={"Parts": parts})
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "big"})
    etag = s3.head_object(Bucket=bucket, Key="big")["ETag"]
    runtime.append(restarted(runtime[0]))
    s3 = runtime[-1].client("s3")
    assert s3.head_object(Bucket=bucket, Key="big")["ETag"] == etag
    assert runtime[-1].get(f"s3://{bucket}/copy") == b"a" * 5 * 1024**2 + b"b"
    assert bodies(runtime[-1].settings) == 2


def test_a_deleted_or_replaced_body_leaves_the_disk(local_runtime: LocalRuntime) -> None:
    s3, bucket = local_runtime.client("s3"), local_runtime.bucket
    for index in range(3):
        local_runtime.put("replaced", b"%d" % index)
        local_runtime.put(f"deleted/{index}", b"x")
    assert bodies(local_runtime.settings) == 4
    s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": f"deleted/{i}"} for i in range(3)]})
    gc.collect()
    assert bodies(local_runtime.settings) == 1
    s3.delete_object(Bucket=bucket, Key="replaced")
    assert bodies(local_runtime.settings) == 0


def test_deleted_buckets_stay_deleted(runtime: list[LocalRuntime]) -> None:
    s3 = runtime[0].client("s3")
    s3.create_bucket(Bucket="kept")
    s3.create_bucket(Bucket="gone")
    s3.delete_bucket(Bucket="gone")
    runtime.append(restarted(runtime[0]))
    names = [bucket["Name"] for bucket in runtime[-1].client("s3").list_buckets()["Buckets"]]
    assert sorted(names) == ["kept", runtime[-1].bucket]


class Writer(threading.Thread):
    """Put, replace and delete a few keys of its own until the server is gone.

    ``states`` holds, for each key, the bodies that it may have: one when the last change was answered, two
    when the server went away meanwhile. None is a key that is gone.
    """

    def __init__(self, runtime: RuntimeProcess, name: str) -> None:
        super().__init__(daemon=True)
        self.states: dict[str, set[bytes | None]] = {}
        self.answered = 0
        self._client = runtime.client("s3", retries=2)
        self._bucket, self._random = runtime.bucket, random.Random(name)
        self._prefix = name

    def run(self) -> None:
        while True:
            key = f"{self._prefix}/{self._random.randrange(5)}"
            body = None if self._random.random() < 0.3 else self._random.randbytes(2000)
            self.states[key] = self.states.get(key, {None}) | {body}
            try:
                if body is None:
                    self._client.delete_object(Bucket=self._bucket, Key=key)
                else:
                    self._client.put_object(Bucket=self._bucket, Key=key, Body=body)
            except (BotoCoreError, ClientError):
                return
            self.states[key] = {body}
            self.answered += 1


def test_every_answered_change_survives_kill_9(local_runtime_process: RuntimeProcess) -> None:
    runtime, bucket = local_runtime_process, local_runtime_process.bucket
    writers = [Writer(runtime, f"writer-{number}") for number in range(4)]
    for writer in writers:
        writer.start()

    def all_have_written() -> bool:
        assert all(writer.is_alive() for writer in writers), "a writer has ended before the kill"
        return min(writer.answered for writer in writers) >= 25

    until(all_have_written, "25 answers to each writer", every=0.01)
    runtime.kill()
    for writer in writers:
        writer.join(timeout=GENEROUS_SECONDS)
    runtime.start_process()
    listed = runtime.client("s3").list_objects_v2(Bucket=bucket).get("Contents", [])
    stored: dict[str, bytes] = {
        entry["Key"]: runtime.get(f"s3://{bucket}/{entry['Key']}") for entry in listed
    }
    expected = {key: bodies for writer in writers for key, bodies in writer.states.items()}
    assert {key: stored.get(key) for key in expected if stored.get(key) not in expected[key]} == {}
    assert bodies(runtime.settings) == len(stored)


@pytest.mark.thorough
def test_bodies_are_not_held_in_memory(local_runtime: LocalRuntime) -> None:
    body = os.urandom(1024**2)
    local_runtime.put("warm", body)
    gc.collect()
    before = psutil.Process().memory_info().rss
    for index in range(64):
        local_runtime.put(f"big/{index}", body)
    gc.collect()
    assert psutil.Process().memory_info().rss - before < 24 * 1024**2


def test_concurrent_writers_of_one_key_leave_one_whole_object(runtime: list[LocalRuntime]) -> None:
    s3, bucket = runtime[0].client("s3", retries=3), runtime[0].bucket

    def write(letter: bytes) -> None:
        for _ in range(20):
            s3.put_object(Bucket=bucket, Key="k", Body=letter * 1000)

    threads = [threading.Thread(target=write, args=(letter,)) for letter in (b"a", b"b", b"c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    before = runtime[0].get(f"s3://{bucket}/k")
    runtime.append(restarted(runtime[0]))
    assert runtime[-1].get(f"s3://{bucket}/k") == before
    assert before in (b"a" * 1000, b"b" * 1000, b"c" * 1000)


def test_a_missing_object_is_awss_error(local_runtime: LocalRuntime) -> None:
    with pytest.raises(ClientError) as raised:
        local_runtime.get(f"s3://{local_runtime.bucket}/nowhere")
    assert raised.value.response["Error"]["Code"] == "NoSuchKey"


def test_listing_versions_writes_nothing(local_runtime: LocalRuntime) -> None:
    local_runtime.put("k", b"1")
    for _ in range(2):
        local_runtime.client("s3").list_object_versions(Bucket=local_runtime.bucket)
    assert bodies(local_runtime.settings) == 1


_MOTO_AFTERWARDS = """
import sys
from pathlib import Path

import boto3
from moto import mock_aws

from sagemaker_local_runtime.settings import Settings
from sagemaker_local_runtime.testing import LocalRuntime

runtime = LocalRuntime(Settings(data_dir=Path(sys.argv[1]), port=0))
runtime.put("a", b"1")
runtime.close()
with mock_aws():
    s3 = boto3.client("s3", region_name="us-east-1")
    s3.create_bucket(Bucket="moto")
    s3.put_object(Bucket="moto", Key="folder/a", Body=b"2")
    assert s3.list_objects_v2(Bucket="moto")["KeyCount"] == 1
"""


@pytest.mark.thorough
def test_moto_works_in_a_process_that_had_a_runtime(tmp_path: Path) -> None:
    """In a process of its own: moto loads its responses with the first request."""
    done = subprocess.run(
        [sys.executable, "-c", _MOTO_AFTERWARDS, str(tmp_path / "runtime")],
        capture_output=True,
        text=True,
        timeout=GENEROUS_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
