from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagemaker_local_runtime.exceptions import ResourceNotFoundError, ValidationError
from sagemaker_local_runtime.services.storage import relative_key, split_uri
from tests.runtime.jobs.conftest import BUCKET, JobRuntime


@pytest.mark.parametrize(
    ("key", "prefix", "expected"),
    [
        ("data/a.csv", "data/a.csv", "a.csv"),
        ("data/a.csv", "data", "a.csv"),
        ("data/a.csv", "data/", "a.csv"),
        ("data/x/a.csv", "data", "x/a.csv"),
        ("data/train/a.csv", "data/tr", "train/a.csv"),
        ("a.csv", "", "a.csv"),
    ],
)
def test_an_object_goes_below_the_folder_of_its_prefix(key: str, prefix: str, expected: str) -> None:
    assert str(relative_key(key, prefix)) == expected


@given(key=st.text(alphabet="./\\ab\0", min_size=1), prefix=st.text(alphabet="./ab"))
def test_no_key_leads_out_of_the_folder(key: str, prefix: str) -> None:
    """Whatever the key, it is refused or stays below the folder."""
    try:
        path = relative_key(prefix + key, prefix)
    except ValidationError:
        return
    folder = Path("/folder")
    assert (folder / path).resolve().is_relative_to(folder)


@pytest.mark.parametrize(
    "uri",
    [
        "s3://bucket/folder/a b.csv",
        "https://bucket.s3.eu-west-1.amazonaws.com/folder/a%20b.csv",
        "https://bucket.s3.amazonaws.com/folder/a%20b.csv",
        "https://bucket.s3-eu-west-1.amazonaws.com/folder/a%20b.csv",
        "https://bucket.s3.dualstack.eu-west-1.amazonaws.com/folder/a%20b.csv",
        "https://bucket.s3.cn-north-1.amazonaws.com.cn/folder/a%20b.csv",
        "https://s3.eu-west-1.amazonaws.com/bucket/folder/a%20b.csv",
        "https://s3.amazonaws.com/bucket/folder/a%20b.csv",
        "https://s3-eu-west-1.amazonaws.com/bucket/folder/a%20b.csv",
    ],
)
def test_every_address_of_an_object_leads_to_its_bucket_and_key(uri: str) -> None:
    assert split_uri(uri) == ("bucket", "folder/a b.csv")


def test_a_bucket_name_may_have_dots() -> None:
    assert split_uri("https://my.own.s3.bucket.s3.eu-west-1.amazonaws.com/k") == ("my.own.s3.bucket", "k")


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "bucket/key",
        "https://bucket/key",
        "s3://",
        "s3:///key",
        "https://s3.amazonaws.com/",
        "https://bucket.s3-website-eu-west-1.amazonaws.com/key",
        "https://bucket.s3.amazonaws.com.example.com/key",
        "http://bucket.s3.amazonaws.com/key",
    ],
)
def test_what_is_no_s3_uri_is_refused(uri: str) -> None:
    with pytest.raises(ValidationError, match="Invalid S3 URI"):
        split_uri(uri)


def test_a_folder_comes_back_as_it_went(runtime: JobRuntime, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "deep").mkdir(parents=True)
    (source / "a.bin").write_bytes(b"\0\1")
    (source / "deep" / "b.txt").write_bytes(b"b")
    uris = runtime.storage.upload(source, f"s3://{BUCKET}/round")
    assert uris == [f"s3://{BUCKET}/round/a.bin", f"s3://{BUCKET}/round/deep/b.txt"]
    files = runtime.storage.download(f"s3://{BUCKET}/round", tmp_path / "back")
    assert [path.relative_to(tmp_path / "back").as_posix() for path in files] == ["a.bin", "deep/b.txt"]
    assert (tmp_path / "back" / "a.bin").read_bytes() == b"\0\1"


def test_an_exact_key_wins_over_keys_that_begin_with_it(runtime: JobRuntime, tmp_path: Path) -> None:
    runtime.storage.write_bytes(f"s3://{BUCKET}/exact/a.csv", b"1")
    runtime.storage.write_bytes(f"s3://{BUCKET}/exact/a.csv.out", b"2")
    assert [path.name for path in runtime.storage.download(f"s3://{BUCKET}/exact/a.csv", tmp_path)] == [
        "a.csv"
    ]


@pytest.mark.thorough
def test_more_objects_than_one_page_are_listed(runtime: JobRuntime) -> None:
    for number in range(1005):
        runtime.storage.write_bytes(f"s3://{BUCKET}/page/{number:04}", b"")
    assert len(runtime.storage.list(f"s3://{BUCKET}/page/")) == 1005


def test_a_file_that_links_out_of_the_folder_is_not_uploaded(runtime: JobRuntime, tmp_path: Path) -> None:
    """A job could otherwise have a file of this machine uploaded for it."""
    (tmp_path / "secret").write_text("secret")
    folder = tmp_path / "output"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path / "secret")
    assert runtime.storage.upload(folder, f"s3://{BUCKET}/links") == []


def test_what_is_missing_is_named(runtime: JobRuntime, tmp_path: Path) -> None:
    with pytest.raises(ResourceNotFoundError, match=f"s3://{BUCKET}/none"):
        runtime.storage.read_bytes(f"s3://{BUCKET}/none")
    with pytest.raises(ResourceNotFoundError, match='S3 URL "s3://no-such-bucket/x"'):
        runtime.storage.download("s3://no-such-bucket/x", tmp_path)
    assert not runtime.storage.exists(f"s3://{BUCKET}/none")
