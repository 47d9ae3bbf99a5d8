"""Find out what S3 stores at a URI."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from sagemaker_pipelines.aws.errors import code_of, is_missing_object


def stored_objects(s3: Any, uri: str, *, page_size: int = 1000) -> Iterator[dict[str, Any]]:
    """Yield the object at a URI and the objects in the folder of this name; none if the bucket is missing.

    To S3, ``m=1`` is also a prefix of ``m=10/``, so a folder is listed with its slash.

    :param s3: the boto3 client.
    :param uri: ``s3://bucket/key``.
    :param page_size: the number of objects that one call requests, 1 to 1000, default 1000.
    :return: entries of ``Contents``, in the order of their keys.
    :raises ValueError: the URI does not have that form.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
    """
    bucket, key = split_s3_uri(uri)
    folder = key if not key or key.endswith("/") else f"{key}/"
    try:
        if key != folder:
            # Of all keys that begin with a key, the key itself comes first.
            first = s3.list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1)
            yield from (item for item in first.get("Contents", ()) if item["Key"] == key)
        pages = s3.get_paginator("list_objects_v2").paginate(
            Bucket=bucket, Prefix=folder, PaginationConfig={"PageSize": page_size}
        )
        for page in pages:
            yield from page.get("Contents", ())
    except ClientError as error:
        if not is_missing_object(error):
            raise


def is_absent(s3: Any, error: ClientError, bucket: str, key: str) -> bool:
    """Return whether a GetObject or HeadObject failed because its object does not exist.

    S3 denies access to a missing object unless the caller may list the bucket. Permission to list below a
    prefix, as in docs/iam/airflow.json, does not count, because these two calls have no prefix. In that case
    this function lists the bucket at the key.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html

    :param s3: the boto3 client.
    :param error: the error of the call.
    :raises ClientError: access was denied, and so is listing.
    """
    if code_of(error) not in {"403", "AccessDenied"}:
        return is_missing_object(error)
    listing = s3.list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1)
    return all(item["Key"] != key for item in listing.get("Contents", ()))


def split_s3_uri(uri: str) -> tuple[str, str]:
    """Return bucket and key of ``s3://bucket/key``.

    :raises ValueError: it is not such a URI.
    """
    parts = urlsplit(uri, allow_fragments=False)
    if parts.scheme != "s3" or not parts.netloc:
        raise ValueError(f"{uri!r} is not an S3 URI; expected s3://<bucket>/<key>.")
    return parts.netloc, parts.path.removeprefix("/") + (f"?{parts.query}" if parts.query else "")
