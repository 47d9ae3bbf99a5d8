"""S3 objects, read and written for executions and jobs."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

from botocore.exceptions import ClientError

from sagemaker_local_runtime.account import Account
from sagemaker_local_runtime.exceptions import ResourceNotFoundError, ValidationError

# Inside the class, "list" is the method.
Uris = list[str]
Paths = list[Path]
_MISSING = {"404", "NoSuchKey", "NoSuchBucket", "NotFound"}


# The bucket is in the host or the path: https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html
_S3_HOST = re.compile(r"(?:(?P<bucket>[^/]+)\.)?s3(?:[.-](?!website)[a-z0-9-]+)*\.amazonaws\.com(?:\.cn)?")


def split_uri(uri: str) -> tuple[str, str]:
    """Return bucket and key of an S3 URI, or of the ``https://`` address of an object in S3.

    :raises ValidationError: it is neither.
    """
    scheme, separator, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme == "https" and (host := _S3_HOST.fullmatch(bucket)):
        bucket, _, key = unquote(f"{host['bucket']}/{key}" if host["bucket"] else key).partition("/")
        scheme = "s3"
    if scheme != "s3" or not separator or not bucket:
        raise ValidationError(
            f"Invalid S3 URI {uri!r}: expected s3://bucket/key, or https://bucket.s3.region.amazonaws.com/key."
        )
    return bucket, key


def relative_key(key: str, prefix: str) -> PurePosixPath:
    """Return the path of an object below the folder to which its prefix is downloaded.

    For an exact key this is the file name; for a folder, the path below the folder; for a prefix that ends
    inside a name (``data/tr``), the path after the last slash.

    :raises ValidationError: the key would leave the folder.
    """
    if key == prefix:
        relative = key.rpartition("/")[2]
    elif prefix and not prefix.endswith("/") and not key.startswith(f"{prefix}/"):
        relative = key[len(prefix.rpartition("/")[0]) :].lstrip("/")
    else:
        relative = key[len(prefix) :].lstrip("/")
    path = PurePosixPath(relative)
    if not relative or path.is_absolute() or ".." in path.parts or "\0" in relative:
        raise ValidationError(
            f"The S3 key {key!r} cannot be stored in the job's folder, as it leaves it. Rename the object."
        )
    return path


class Storage:
    """Read and write S3 objects through the runtime's own endpoint.

    Every object is transferred by one plain GET or PUT: with moto, ranged downloads by several threads are
    20 times slower.

    :param account: whose endpoint is used.
    """

    def __init__(self, account: Account) -> None:
        self._account = account

    @property
    def _s3(self) -> Any:
        return self._account.client("s3")

    def read_bytes(self, uri: str) -> bytes:
        """Return an object's content.

        :raises ResourceNotFoundError: the object does not exist.
        """
        return bytes(self._get(*split_uri(uri))["Body"].read())

    def write_bytes(self, uri: str, data: bytes) -> None:
        """Write an object."""
        bucket, key = split_uri(uri)
        self._s3.put_object(Bucket=bucket, Key=key, Body=data)

    def exists(self, uri: str) -> bool:
        """Return whether the object exists."""
        bucket, key = split_uri(uri)
        try:
            self._s3.head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if _code(error) in _MISSING:
                return False
            raise
        return True

    def list(self, uri_prefix: str) -> Uris:
        """Return the URIs of the objects whose keys begin with the prefix, in key order."""
        bucket, prefix = split_uri(uri_prefix)
        return [f"s3://{bucket}/{key}" for key in self._keys(bucket, prefix)]

    def delete(self, uri: str) -> None:
        """Delete an object; it is not an error if it does not exist."""
        bucket, key = split_uri(uri)
        self._s3.delete_object(Bucket=bucket, Key=key)

    def has_objects(self, uri_prefix: str) -> bool:
        """Return whether there is an object whose key begins with the prefix."""
        return any(islice(self._keys(*split_uri(uri_prefix)), 1))

    def require_input(self, uri_prefix: str, role_arn: str) -> None:
        """Refuse an input without objects, in AWS's words.

        :param role_arn: the role of the job that is to read it.
        :raises ValidationError: no key begins with the prefix.
        """
        if not self.has_objects(uri_prefix):
            raise ValidationError(
                f'No S3 objects found under S3 URL "{uri_prefix}" given in input data source. Please ensure '
                f"that the bucket exists in the selected region ({self._account.settings.region}), that "
                f'objects exist under that S3 prefix, and that the role "{role_arn}" has "s3:ListBucket" '
                f'permissions on bucket "{split_uri(uri_prefix)[0]}".'
            )

    def download(self, uri_or_prefix: str, folder: Path, share: tuple[int, int] = (0, 1)) -> Paths:
        """Download an object, or every object below a prefix, into a folder.

        :param uri_or_prefix: an ``s3://`` URI.
        :param folder: the target, in which objects keep their path below the prefix.
        :param share: ``(0, 2)`` downloads the first, third, fifth... object.
        :return: the files written.
        :raises ResourceNotFoundError: nothing matches.
        :raises ValidationError: a key would leave the folder.
        """
        bucket, prefix = split_uri(uri_or_prefix)
        keys = [key for key in self._keys(bucket, prefix) if not key.endswith("/")]
        if prefix in keys:
            keys = [prefix]
        if not keys:
            raise ResourceNotFoundError(
                f'No S3 objects found under S3 URL "{uri_or_prefix}" given in input data source. '
                f'Please ensure that the bucket "{bucket}" exists in the selected region '
                f"({self._account.settings.region}) and that objects exist under that S3 prefix."
            )
        first, step = share
        return [self.fetch(bucket, key, folder / relative_key(key, prefix)) for key in keys[first::step]]

    def fetch(self, bucket: str, key: str, path: Path) -> Path:
        """Download one object to one file and return it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        body = self._get(bucket, key)["Body"]
        with path.open("wb") as file:
            shutil.copyfileobj(body, file, 1 << 20)
        return path

    def upload(self, source: Path, uri_prefix: str) -> Uris:
        """Upload a file, or every file below a folder, and return the URIs in name order.

        :param source: a file, or a folder, whose files keep their path below it.
        :param uri_prefix: for a file, its folder if it ends with a slash, otherwise its whole URI.
        """
        bucket, prefix = split_uri(uri_prefix)
        if source.is_file():
            targets = [(source, prefix + source.name if prefix.endswith("/") or not prefix else prefix)]
        else:
            base = f"{prefix.rstrip('/')}/" if prefix else ""
            targets = [
                (path, base + path.relative_to(source).as_posix())
                for path in sorted(source.rglob("*"))
                if path.is_file() and path.resolve().is_relative_to(source.resolve())
            ]
        for path, key in targets:
            with path.open("rb") as file:
                self._s3.put_object(Bucket=bucket, Key=key, Body=file)
        return [f"s3://{bucket}/{key}" for _, key in targets]

    def _get(self, bucket: str, key: str) -> Any:
        try:
            return self._s3.get_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if _code(error) in _MISSING:
                raise ResourceNotFoundError(f"The S3 object s3://{bucket}/{key} does not exist.") from error
            raise

    def _keys(self, bucket: str, prefix: str) -> Iterator[str]:
        request = {"Bucket": bucket, "Prefix": prefix}
        while True:
            try:
                answer = self._s3.list_objects_v2(**request)
            except ClientError as error:
                if _code(error) in _MISSING:
                    return
                raise
            yield from (item["Key"] for item in answer.get("Contents", ()))
            if not answer.get("IsTruncated"):
                return
            request["ContinuationToken"] = answer["NextContinuationToken"]


def _code(error: ClientError) -> str:
    return str(error.response["Error"]["Code"])
