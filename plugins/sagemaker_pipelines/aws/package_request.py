"""Make, of the description of a model package, the request that registers it elsewhere.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModelPackage.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from sagemaker_pipelines.exceptions import PromotionError

# What belongs to the account or group of the original, or is decided anew.
_LEFT_OUT = frozenset(
    {"ModelPackageName", "ModelPackageGroupName", "ModelApprovalStatus", "ModelLifeCycle", "SecurityConfig"}
)
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html
_S3_ADDRESS = re.compile(r"https?://([^/]+\.)?s3[.-][^/]*amazonaws\.com", re.IGNORECASE)
# What AWS adds about the original's image and objects.
_ADDED = frozenset({"ImageDigest", "ModelDataETag", "ETag"})


def package_request(
    sagemaker: Any,
    described: Mapping[str, Any],
    replacements: Mapping[str, str],
    *,
    metadata: Mapping[str, str],
) -> dict[str, Any]:
    """Return the arguments of CreateModelPackage that the description has, too.

    :param sagemaker: the boto3 client, which knows the arguments.
    :param described: DescribeModelPackage's answer.
    :param replacements: the new text of S3 URIs and images, by the old one.
    :param metadata: more CustomerMetadataProperties.
    """
    known = sagemaker.meta.service_model.operation_model("CreateModelPackage").input_shape.members
    shared = {name: value for name, value in described.items() if name in known and name not in _LEFT_OUT}
    request: dict[str, Any] = _replaced(shared, lambda text: replacements.get(text, text))
    return {
        **request,
        "CustomerMetadataProperties": {**request.get("CustomerMetadataProperties", {}), **metadata},
    }


def s3_uris(described: Mapping[str, Any]) -> set[str]:
    """Return all S3 URIs in the description of a package: its model, metrics, baselines and metadata.

    :raises PromotionError: an object is named by its https address.
    """
    found: set[str] = set()

    def note(text: str) -> str:
        if text.startswith("s3://"):
            found.add(text)
        if _S3_ADDRESS.match(text):
            raise PromotionError(
                f"{described['ModelPackageArn']} names {text}; expected an S3 URI (s3://...), because "
                "nothing else is copied. Register the model with its S3 URI."
            )
        return text

    _replaced(described, note)
    return found


def recorded_etags(described: Any) -> dict[str, str]:
    """Return the ETags of a package's archives when it was registered, without quotes, by their S3 URIs."""
    if isinstance(described, list):
        found = {uri: etag for item in described for uri, etag in recorded_etags(item).items()}
    elif isinstance(described, Mapping):
        found = recorded_etags(list(described.values()))
        if described.get("ModelDataUrl") and described.get("ModelDataETag"):
            found[described["ModelDataUrl"]] = described["ModelDataETag"].strip('"')
    else:
        found = {}
    return found


def _replaced(value: Any, replace: Callable[[str], str]) -> Any:
    """Return JSON types with every text replaced, without what AWS has added about the original."""
    if isinstance(value, Mapping):
        return {key: _replaced(item, replace) for key, item in value.items() if key not in _ADDED}
    if isinstance(value, list):
        return [_replaced(item, replace) for item in value]
    return replace(value) if isinstance(value, str) else value
