"""Write what a run found to S3."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sagemaker_pipelines.exceptions import ParameterError

if TYPE_CHECKING:
    from sagemaker_pipelines.hooks.pipeline import SageMakerPipelineHook


def write_json(hook: SageMakerPipelineHook, uri: str, value: object) -> None:
    """Write one JSON document in one request: a reader sees the earlier one or this one, never a part.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html

    :param hook: what to call AWS with.
    :param uri: the object, ``s3://bucket/key``; an earlier one is replaced.
    :param value: JSON types.
    :raises ParameterError: the URI is not one of an object.
    """
    parts = urlsplit(uri, allow_fragments=False)
    key = parts.path.removeprefix("/")
    if parts.scheme != "s3" or not parts.netloc or not key or key.endswith("/"):
        raise ParameterError(f"{uri!r} is no URI of an object; expected s3://<bucket>/<key>.")
    body = json.dumps(value, indent=2, sort_keys=True).encode()
    encryption = (
        {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": hook.settings.kms_key_id}
        if hook.settings.kms_key_id
        else {}
    )
    hook.s3.put_object(Bucket=parts.netloc, Key=key, Body=body, ContentType="application/json", **encryption)
