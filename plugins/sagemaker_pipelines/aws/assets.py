"""Compare the assets of a definition with what the artifact bucket holds."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from os.path import commonpath

from botocore.exceptions import ClientError

from sagemaker_pipelines.aws.client import SageMakerClient
from sagemaker_pipelines.aws.objects import is_absent
from sagemaker_pipelines.definition import Asset
from sagemaker_pipelines.exceptions import DefinitionError


def missing_objects(client: SageMakerClient, bucket: str, contents: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the objects that a bucket does not contain, or contains with different bytes.

    This makes one ListObjectsV2 call, whose ETag is usually the MD5 of an object's bytes. If it is not
    (because the object is encrypted with a KMS key or was uploaded in parts), or if the object is not among
    the first 1,000 keys, one HeadObject call reads the SHA-256 that S3 checked at the upload. An object
    without either proof counts as missing.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html

    :param client: calls AWS.
    :param bucket: the bucket.
    :param contents: the expected bytes, by key.
    """
    if not contents:
        return {}
    listing = client.s3.list_objects_v2(Bucket=bucket, Prefix=commonpath([*contents]))
    etags = {item["Key"]: item["ETag"].strip('"') for item in listing.get("Contents", ())}

    def is_stored(key: str, content: bytes) -> bool:
        if etags.get(key) == hashlib.md5(content, usedforsecurity=False).hexdigest():
            return True
        may_be_there = key in etags or listing["IsTruncated"]
        return may_be_there and _has_checksum(client, bucket, key, content)

    return {key: content for key, content in contents.items() if not is_stored(key, content)}


def _has_checksum(client: SageMakerClient, bucket: str, key: str, content: bytes) -> bool:
    try:
        head = client.s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    except ClientError as error:
        if is_absent(client.s3, error, bucket, key):
            return False
        raise
    checksum = base64.b64encode(hashlib.sha256(content).digest()).decode()
    return bool(head.get("ChecksumSHA256") == checksum)


def assets_to_upload(
    client: SageMakerClient, bucket: str, assets: Sequence[Asset], contents: Mapping[str, bytes]
) -> dict[str, bytes]:
    """Return the contents of the assets that S3 does not have, by key.

    Code that was adopted where it is never replaces what is there: another pipeline may use it.

    :param client: calls AWS.
    :param bucket: the artifact bucket.
    :param assets: the assets of the definition.
    :param contents: the content of each, by key.
    :raises DefinitionError: S3 has other code where the code was adopted.
    """
    missing = missing_objects(client, bucket, contents)
    stored = {asset.key(client.settings.name_prefix) for asset in assets if asset.stored_key}
    for key in sorted(stored & {*missing}):
        uri = f"s3://{bucket}/{key}"
        if not client.object_exists(uri):
            continue
        if client.read_object(uri) != missing.pop(key):
            raise DefinitionError(
                f"{uri} is not the code that the definition was adopted with, and is not replaced. Adopt "
                "the pipeline again, or move the object away."
            )
    return missing
