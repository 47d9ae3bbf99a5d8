"""Values that stand in for what is known only where a pipeline is deployed.

The SDK checks role ARNs, bucket names and image URIs while it builds a definition, so a pipeline is built
with well-formed stand-ins. Compiling then writes the envelope's placeholders in their place.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

REGION = "us-east-1"
ARTIFACT_BUCKET = "stand-in-artifact-bucket"
NAME_PREFIX = "stand-in-name-prefix-"
ROLE_ARN = "arn:aws:iam::000000000000:role/stand-in-role-arn"

_PLACEHOLDERS = {
    ARTIFACT_BUCKET: "${artifact_bucket}",
    NAME_PREFIX: "${name_prefix}",
    ROLE_ARN: "${role_arn}",
}


def artifact_uri(*parts: str) -> str:
    """Return an S3 URI in the deployment's bucket, below its name prefix.

    :param parts: the path, joined by slashes; the first part is the pipeline's name.
    """
    return f"s3://{ARTIFACT_BUCKET}/{NAME_PREFIX}{'/'.join(parts)}"


def scratch_folder() -> str:
    """Return a folder that is gone after compiling, for ModelBuilder's ``model_path``.

    Its own default lies below ``/tmp/sagemaker``, which belongs to the first user of a machine.
    """
    return str(Path.home() / "model")  # the home folder is temporary while compiling


def prefixed(name: str) -> str:
    """Return a resource's name below the deployment's name prefix."""
    return f"{NAME_PREFIX}{name}"


def with_placeholders(text: str, others: Mapping[str, str]) -> str:
    """Return a text with every stand-in replaced.

    :param text: the definition as JSON.
    :param others: further values to replace: image URIs and the URIs of uploaded code.
    """
    # The longest first: the URI of uploaded code holds the bucket's stand-in.
    table = {**_PLACEHOLDERS, **others}
    for value in sorted(table, key=len, reverse=True):
        text = text.replace(value, table[value])
    return text
