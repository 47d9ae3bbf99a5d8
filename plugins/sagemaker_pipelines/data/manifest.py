"""List the data of several partitions in one object."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from sagemaker_pipelines.aws.client import SageMakerClient


def write_manifest(client: SageMakerClient, partitions: Sequence[str], *, below: str, folder: str) -> str:
    """Write a list of the data in some partitions, and return the URI of this manifest.

    The name of a manifest is made from its content: the same data has the same manifest, and a manifest that
    an earlier execution read never changes. In the container, an object keeps the rest of its key, including
    ``dt=2026-01-02/``.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_S3DataSource.html

    :param client: calls AWS.
    :param partitions: the S3 URIs of the partitions.
    :param below: the URI of a folder that they share, with its slash.
    :param folder: the URI of the folder for the manifest, with its slash.
    """
    objects = (uri for partition in partitions for uri in client.data_objects(partition))
    manifest = [{"prefix": below}, *(uri.removeprefix(below) for uri in objects)]
    uri = f"{folder}{hashlib.sha256(json.dumps(manifest).encode()).hexdigest()}.manifest"
    client.write_json(uri, manifest)
    return uri
