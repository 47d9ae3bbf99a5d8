"""Stand-ins for the values that are known only where a pipeline is deployed.

The SDK checks role ARNs, bucket names and image URIs while it builds a definition, so a pipeline is built
with well-formed stand-ins. Compiling then replaces them with the placeholders of the envelope.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

REGION = "us-east-1"
ARTIFACT_BUCKET = "stand-in-artifact-bucket"
NAME_PREFIX = "stand-in-name-prefix-"
ACCOUNT = "000000000000"
#: What ``sagemaker.Session().default_bucket()`` returns.
DEFAULT_BUCKET = f"sagemaker-{REGION}-{ACCOUNT}"
ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/stand-in-role-arn"

_PLACEHOLDERS = {
    ARTIFACT_BUCKET: "${artifact_bucket}",
    DEFAULT_BUCKET: "${artifact_bucket}",
    NAME_PREFIX: "${name_prefix}",
    ROLE_ARN: "${role_arn}",
}


#: Twelve zeros in a longer number or at the end of the nil UUID are not the account.
_ACCOUNT_ALONE = re.compile(rf"(?<!\d)(?<!0000-){ACCOUNT}(?!\d)")

#: The account with the region beside it, as in own images, ARNs and names of buckets.
_ACCOUNT_PLACEHOLDERS = {
    f"{ACCOUNT}.dkr.ecr.{REGION}.": "${account_id}.dkr.ecr.${region}.",
    f":{REGION}:{ACCOUNT}:": ":${region}:${account_id}:",
    f"-{REGION}-{ACCOUNT}": "-${region}-${account_id}",
}


def artifact_uri(*parts: str) -> str:
    """Return an S3 URI in the artifact bucket, below the name prefix.

    :param parts: the path, joined by slashes; the first part is the pipeline's name.
    """
    return f"s3://{ARTIFACT_BUCKET}/{NAME_PREFIX}{'/'.join(parts)}"


def scratch_folder() -> str:
    """Return a folder for the ``model_path`` of ModelBuilder that is removed after compiling.

    The default is below ``/tmp/sagemaker``, which belongs to the first user of a machine.
    """
    return str(Path.home() / "model")  # the home folder is temporary during a compilation


def prefixed(name: str) -> str:
    """Return the name of a resource with the name prefix before it."""
    return f"{NAME_PREFIX}{name}"


def with_placeholders(text: str, others: Mapping[str, str]) -> str:
    """Return a text in which every stand-in is replaced.

    :param text: the definition as JSON.
    :param others: more values to replace, such as image URIs, with their replacements.
    """
    # The longest first, because one value may contain another.
    table = {**_PLACEHOLDERS, **_ACCOUNT_PLACEHOLDERS, **others}
    for value in sorted(table, key=len, reverse=True):
        text = text.replace(value, table[value])
    return _ACCOUNT_ALONE.sub("${account_id}", text)


def found_stand_ins(content: bytes) -> list[str]:
    """Return the stand-ins in a file's content; compiling cannot replace them there."""
    return [value for value in _PLACEHOLDERS if value.encode() in content]
