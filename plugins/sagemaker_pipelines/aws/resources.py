"""Check what a definition names in AWS as it stands: its code in S3, and the region of its images."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from botocore.exceptions import ClientError

from sagemaker_pipelines.aws.client import SageMakerClient
from sagemaker_pipelines.aws.errors import code_of
from sagemaker_pipelines.definition.resources import EcrImage, code_uris, images_of
from sagemaker_pipelines.exceptions import MissingCodeError

_DENIED = frozenset({"403", "AccessDenied", "AllAccessDisabled"})


def check_code(client: SageMakerClient, definition: Mapping[str, Any], *, uploaded: Collection[str]) -> None:
    """Raise if S3 does not have the code that a definition names.

    Code that the caller may not list is only logged: the role of the jobs may have access to it.

    :param client: calls AWS.
    :param definition: the filled definition.
    :param uploaded: the URIs of the files that the upsert itself uploads; the code may be their folder.
    :raises MissingCodeError: code is missing; the message names each URI and its step.
    """
    missing = {}
    for uri, step in code_uris(definition).items():
        folder = f"{uri.rstrip('/')}/"
        if any(own == uri or own.startswith(folder) for own in uploaded):
            continue
        try:
            if not client.object_exists(uri):
                missing[uri] = step
        except ClientError as error:
            if code_of(error) not in _DENIED:
                raise
            client.log.warning("Step %s: %s was not checked, because S3 denies access to it.", step, uri)
    if missing:
        raise MissingCodeError(missing)


def foreign_images(definition: Mapping[str, Any], region: str) -> list[EcrImage]:
    """Return the images of a definition that are in another region.

    :param definition: the filled definition.
    :param region: the region in which the pipeline runs.
    """
    return [image for image in images_of(definition).values() if image.region != region]


def warn_of_regions(client: SageMakerClient, definition: Mapping[str, Any], *, name: str) -> None:
    """Log a warning if images are in another region, because SageMaker pulls images only from its own.

    https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-containers-inference-private.html

    :param client: has the region and the log.
    :param definition: the filled definition.
    :param name: the pipeline's name, for the message.
    """
    images = foreign_images(definition, client.region)
    if images:
        client.log.warning(
            "Pipeline %s is deployed to %s, whose jobs cannot pull images of another region: %s. Deploy it "
            "to that region, or adopt the definition, which makes the region of AWS's images a placeholder "
            "(sagemaker-pipelines adopt FILE).",
            name,
            client.region,
            ", ".join(image.uri for image in images),
        )
