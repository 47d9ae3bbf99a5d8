"""Copy objects from the S3 of one environment to that of another, and prove that they are the same.

The bytes pass through this machine, because the two accounts need not know each other.
"""

from __future__ import annotations

import base64
import hashlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from sagemaker_pipelines.aws.client import SageMakerClient
from sagemaker_pipelines.aws.errors import code_of, is_denied, is_missing_object
from sagemaker_pipelines.aws.objects import is_absent, split_s3_uri, stored_objects
from sagemaker_pipelines.exceptions import PromotionError

# What S3 answers if an object no longer has the ETag of IfMatch.
_CHANGED = frozenset({"412", "PreconditionFailed"})
_CHUNK = 1024 * 1024
_SHA256, _SOURCE_ETAG = "sha256", "source-etag"


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """An object that the target environment needs.

    :param source_uri: where it is.
    :param target_uri: where the target environment gets it.
    :param size: its size in bytes.
    :param etag: its ETag in the source.
    :param is_stored: whether the target has exactly this object already.
    """

    source_uri: str
    target_uri: str
    size: int
    etag: str
    is_stored: bool


def artifacts_at(
    source: SageMakerClient, target: SageMakerClient, uri: str, target_uri: str, *, etag: str | None = None
) -> Iterator[Artifact]:
    """Yield the objects at a URI, or below it, with their places in the target environment.

    :param source: the client of the source environment.
    :param target: the client of the target environment.
    :param uri: the object or folder in the source environment.
    :param target_uri: its place in the target environment.
    :param etag: the ETag that the object at the URI had when the package was registered, without quotes;
        None if it is not known.
    :raises PromotionError: S3 has nothing there, or another object, or denies access.
    """
    bucket, key = split_s3_uri(uri)
    try:
        items = list(stored_objects(source.s3, uri))
    except ClientError as error:
        if not is_denied(error):
            raise
        raise _denied(uri, "list", error) from error
    for item in items:
        if etag and item["Key"] == key and item["ETag"].strip('"') != etag:
            raise PromotionError(
                f"{uri} has the ETag {item['ETag']}, but had {etag} when the model package was registered; "
                "expected the same object, because nobody has tested or approved another one. Restore it, or "
                "register the model again."
            )
        place = target_uri + item["Key"][len(key) :]
        yield Artifact(
            source_uri=f"s3://{bucket}/{item['Key']}",
            target_uri=place,
            size=item["Size"],
            etag=item["ETag"],
            is_stored=_is_stored(target, place, item),
        )
    if not items:
        raise PromotionError(
            f"The model package names {uri}, but S3 has nothing there. Expected what the execution wrote. "
            "Restore it, or promote another model package."
        )


def copy_artifact(source: SageMakerClient, target: SageMakerClient, artifact: Artifact) -> str:
    """Copy an object, and return the SHA-256 of its bytes, 64 hexadecimal digits.

    S3 checks what it sends and what it receives against checksums. The copy keeps the SHA-256 and the ETag of
    the original as its metadata, so that it is recognised later.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html

    :raises PromotionError: the object has changed since it was listed or may not be read, or the copy is not
        the same.
    """
    bucket, key = split_s3_uri(artifact.source_uri)
    digest, size = hashlib.sha256(), 0
    with tempfile.TemporaryFile() as file:
        try:
            answer = source.s3.get_object(
                Bucket=bucket, Key=key, IfMatch=artifact.etag, ChecksumMode="ENABLED"
            )
        except ClientError as error:
            if is_denied(error):
                raise _denied(artifact.source_uri, "read", error) from error
            if code_of(error) not in _CHANGED and not is_missing_object(error):
                raise
            raise PromotionError(
                f"{artifact.source_uri} cannot be read as it was listed, with the ETag {artifact.etag}: "
                f"{error}. Promote again."
            ) from error
        for chunk in answer["Body"].iter_chunks(_CHUNK):
            digest.update(chunk)
            size += file.write(chunk)
        file.seek(0)
        _upload(target, artifact, file, digest.hexdigest())
    stored = _head(target, artifact.target_uri)
    whole = base64.b64encode(digest.digest()).decode()
    # Of an upload in parts, S3 has checked each part, and keeps a checksum of their checksums.
    in_parts = "-" in stored["ETag"]
    seen = whole if in_parts else stored.get("ChecksumSHA256", whole)
    if (artifact.size, stored["ContentLength"], seen) != (size, size, whole):
        raise PromotionError(
            f"{artifact.target_uri} is not the same as {artifact.source_uri} ({artifact.size:,} bytes): read "
            f"{size:,} bytes, stored {stored['ContentLength']:,} with the checksum {seen}, expected {whole}. "
            "Promote again."
        )
    return digest.hexdigest()


def _denied(uri: str, action: str, error: ClientError) -> PromotionError:
    return PromotionError(
        f"The model package names {uri}, but the source connection may not {action} it: {error}. Allow it as "
        "docs/iam/promotion-source.json does; another account's bucket has to allow it, too."
    )


def _upload(target: SageMakerClient, artifact: Artifact, file: Any, sha256: str) -> None:
    bucket, key = split_s3_uri(artifact.target_uri)
    metadata = {_SHA256: sha256, _SOURCE_ETAG: artifact.etag}
    target.s3.upload_fileobj(
        file,
        bucket,
        key,
        ExtraArgs={"ChecksumAlgorithm": "SHA256", "Metadata": metadata, **target.encryption},
    )


def _is_stored(target: SageMakerClient, uri: str, item: dict[str, Any]) -> bool:
    try:
        head = _head(target, uri)
    except ClientError as error:
        if is_absent(target.s3, error, *split_s3_uri(uri)):
            return False
        raise
    stored = (head["Metadata"].get(_SOURCE_ETAG), head["ContentLength"])
    return stored == (item["ETag"], item["Size"])


def _head(client: SageMakerClient, uri: str) -> dict[str, Any]:
    bucket, key = split_s3_uri(uri)
    answer: dict[str, Any] = client.s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    return answer
