"""The code of functions: zip archives in the data directory.

https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from sagemaker_local_runtime.account import Account
from sagemaker_local_runtime.exceptions import AwsError

_LARGEST_ZIP, _LARGEST_UNZIPPED = 50 << 20, 250 << 20
_INVALID = "InvalidParameterValueException"


class FunctionCode:
    """Keep the archives, each under the hash of its content.

    :param account: the data directory, and where S3 objects are.
    """

    def __init__(self, account: Account) -> None:
        self._account = account
        self._folder = account.settings.data_dir.resolve() / "functions"

    def store(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Keep the archive of a request, and return its ``CodeSha256`` and ``CodeSize``.

        :param request: has ``ZipFile``, or ``S3Bucket`` and ``S3Key``.
        :raises AwsError: there is no archive, or it cannot be used.
        """
        content = self._content(request)
        _check(content)
        digest = hashlib.sha256(content).digest()
        path = self._path(base64.b64encode(digest).decode())
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            unfinished = path.with_suffix(f".{os.urandom(8).hex()}")
            unfinished.write_bytes(content)
            unfinished.replace(path)
        return {"CodeSha256": base64.b64encode(digest).decode(), "CodeSize": len(content)}

    def unpack(self, sha256: str, target: Path) -> None:
        """Extract an archive that was stored.

        :raises AwsError: the function was changed or deleted in the meantime.
        """
        try:
            with zipfile.ZipFile(self._path(sha256)) as archive:
                archive.extractall(target)
        except FileNotFoundError as error:
            raise AwsError(
                "The function was changed or deleted while it was invoked. Invoke it again.",
                code="ResourceConflictException",
                status=409,
            ) from error

    def discard(self, sha256: str) -> None:
        """Remove an archive that no function has any more."""
        self._path(sha256).unlink(missing_ok=True)

    def _path(self, sha256: str) -> Path:
        return self._folder / f"{base64.b64decode(sha256).hex()}.zip"

    def _content(self, request: Mapping[str, Any]) -> bytes:
        if "ZipFile" in request:
            try:
                return base64.b64decode(request["ZipFile"], validate=True)
            except binascii.Error as error:
                raise AwsError(f"ZipFile is not base64: {error}.", code="SerializationException") from error
        if not request.get("S3Bucket") or not request.get("S3Key"):
            raise AwsError("Please provide a source for function code.", code=_INVALID)
        source = {"Bucket": request["S3Bucket"], "Key": request["S3Key"]}
        if request.get("S3ObjectVersion"):
            source["VersionId"] = request["S3ObjectVersion"]
        try:
            content: bytes = self._account.client("s3").get_object(**source)["Body"].read()
        except ClientError as error:
            detail = error.response["Error"]
            raise AwsError(
                f"Error occurred while GetObject. S3 Error Code: {detail['Code']}. "
                f"S3 Error Message: {detail['Message']}",
                code=_INVALID,
            ) from error
        except BotoCoreError as error:
            raise AwsError(f"The code cannot be read from S3: {error}", code="ServiceException") from error
        return content


def _check(content: bytes) -> None:
    if len(content) > _LARGEST_ZIP:
        raise AwsError(
            f"Request must be smaller than {_LARGEST_ZIP} bytes for the CreateFunction operation",
            code="RequestEntityTooLargeException",
            status=413,
        )
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            size = sum(member.file_size for member in archive.infolist())
            damaged = archive.testzip() if size <= _LARGEST_UNZIPPED else None
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, ValueError, OSError) as error:
        raise _unreadable() from error
    if damaged:
        raise _unreadable()
    if size > _LARGEST_UNZIPPED:
        raise AwsError(f"Unzipped size must be smaller than {_LARGEST_UNZIPPED} bytes", code=_INVALID)


def _unreadable() -> AwsError:
    return AwsError(
        "Could not unzip uploaded file. Please check your file, then try to upload again.", code=_INVALID
    )
