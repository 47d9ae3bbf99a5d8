"""List the data of several partitions in one object."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from sagemaker_pipelines.aws.client import SageMakerClient


def write_manifest(client: SageMakerClient, partitions: Sequence[str], *, below: str, folder: str) -> str:
    """Write which data lie in some partitions, and return the manifest's URI.

    Its name is made from its content: the same data have the same manifest, and one that an earlier
    execution read stays as it was. In the container an object keeps the rest of its key, ``dt=2026-01-02/``
    included.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_S3DataSource.html

    :param client: what to call AWS with.
    :param partitions: their S3 URIs.
    :param below: the URI of a folder that they share, with its slash.
    :param folder: the URI of the folder to write to, with its slash.
    """
    objects = (uri for partition in partitions for uri in client.data_objects(partition))
    manifest = [{"prefix": below}, *(uri.removeprefix(below) for uri in objects)]
    uri = f"{folder}{hashlib.sha256(json.dumps(manifest).encode()).hexdigest()}.manifest"
    client.write_json(uri, manifest)
    return uri
