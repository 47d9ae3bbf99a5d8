"""Which assets S3 lacks: as few calls as prove each one's bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sagemaker_pipelines.aws.assets import missing_objects
from sagemaker_pipelines.aws.client import SageMakerClient
from tests.unit.sagemaker_pipelines.samples import BUCKET

CONTENTS = {"dev-assets/01/train.py": b"train()", "dev-assets/02/score.py": b"score()"}


def denied(operation: str, code: str) -> Callable[..., Any]:
    """A method of the client that S3 denies."""

    def call(**_: Any) -> Any:
        raise ClientError({"Error": {"Code": code, "Message": "Forbidden"}}, operation)

    return call


@pytest.fixture
def stored(client: SageMakerClient) -> SageMakerClient:
    """The client, after an upload of both assets."""
    for key, content in CONTENTS.items():
        client.s3.put_object(Bucket=BUCKET, Key=key, Body=content, ChecksumAlgorithm="SHA256")
    return client


@pytest.fixture
def kms_etags(client: SageMakerClient) -> Iterator[None]:
    """ETags as S3 gives them to objects that a KMS key encrypts: they say nothing about the bytes."""

    def replace_etags(parsed: dict[str, Any], **_: Any) -> None:
        for item in parsed.get("Contents", ()):
            item["ETag"] = '"0123456789abcdef0123456789abcdef"'

    client.s3.meta.events.register("after-call.s3.ListObjectsV2", replace_etags, unique_id="kms")
    yield
    client.s3.meta.events.unregister("after-call.s3.ListObjectsV2", unique_id="kms")


def test_one_list_call_proves_all_assets_by_their_etags(stored: SageMakerClient, s3_calls: list[str]) -> None:
    assert missing_objects(stored, BUCKET, CONTENTS) == {}
    assert s3_calls == ["ListObjectsV2"]


def test_a_definition_without_assets_makes_no_call(client: SageMakerClient, s3_calls: list[str]) -> None:
    assert missing_objects(client, BUCKET, {}) == {}
    assert s3_calls == []


@pytest.mark.usefixtures("kms_etags")
def test_where_an_etag_says_nothing_the_sha256_of_the_upload_proves_the_asset(
    stored: SageMakerClient, s3_calls: list[str]
) -> None:
    assert missing_objects(stored, BUCKET, CONTENTS) == {}
    assert s3_calls == ["ListObjectsV2", "HeadObject", "HeadObject"]


@pytest.mark.parametrize("etags", [None, "kms_etags"])
def test_other_bytes_of_equal_size_are_found(
    stored: SageMakerClient, etags: str | None, request: pytest.FixtureRequest
) -> None:
    if etags:
        request.getfixturevalue(etags)
    key = "dev-assets/01/train.py"
    stored.s3.put_object(Bucket=BUCKET, Key=key, Body=b"TRAIN()", ChecksumAlgorithm="SHA256")
    assert missing_objects(stored, BUCKET, CONTENTS) == {key: b"train()"}


@pytest.mark.usefixtures("kms_etags")
def test_an_object_that_has_no_proof_counts_as_missing(stored: SageMakerClient) -> None:
    key = "dev-assets/02/score.py"
    stored.s3.put_object(Bucket=BUCKET, Key=key, Body=CONTENTS[key])
    assert missing_objects(stored, BUCKET, CONTENTS).keys() == {key}


def test_a_deleted_object_is_found_without_a_call_of_its_own(
    stored: SageMakerClient, s3_calls: list[str]
) -> None:
    stored.s3.delete_object(Bucket=BUCKET, Key="dev-assets/01/train.py")
    s3_calls.clear()
    assert missing_objects(stored, BUCKET, CONTENTS).keys() == {"dev-assets/01/train.py"}
    assert s3_calls == ["ListObjectsV2"]


def test_an_object_beyond_the_first_page_of_the_list_is_asked_for_by_itself(
    stored: SageMakerClient, s3_calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    list_objects = stored.s3.list_objects_v2
    monkeypatch.setattr(stored.s3, "list_objects_v2", lambda **request: list_objects(**request, MaxKeys=1))
    assert missing_objects(stored, BUCKET, CONTENTS) == {}
    assert s3_calls == ["ListObjectsV2", "HeadObject"]


def test_an_object_beyond_the_first_page_is_missing_also_where_s3_denies_to_say_so(
    stored: SageMakerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who may list below a prefix only is denied access to an object that does not exist."""
    key = "dev-assets/02/score.py"
    stored.s3.delete_object(Bucket=BUCKET, Key=key)
    stored.s3.put_object(Bucket=BUCKET, Key="dev-assets/99/other.py", Body=b"")
    list_objects = stored.s3.list_objects_v2
    monkeypatch.setattr(
        stored.s3, "list_objects_v2", lambda **request: list_objects(**request | {"MaxKeys": 1})
    )
    monkeypatch.setattr(stored.s3, "head_object", denied("HeadObject", "403"))
    assert missing_objects(stored, BUCKET, CONTENTS).keys() == {key}
    stored.s3.put_object(Bucket=BUCKET, Key=key, Body=CONTENTS[key])
    with pytest.raises(ClientError, match="HeadObject"):
        missing_objects(stored, BUCKET, CONTENTS)
