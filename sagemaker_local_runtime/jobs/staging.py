"""Download the inputs of a job to where its container expects them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sagemaker_local_runtime.exceptions import JobFailedError, ValidationError
from sagemaker_local_runtime.jobs.archives import unzip
from sagemaker_local_runtime.jobs.job import Job
from sagemaker_local_runtime.services.storage import relative_key, split_uri


def check_s3_source(source: dict[str, Any], what: str) -> None:
    """Refuse a source that the local runtime cannot stage.

    :param source: an object with ``S3Uri`` and ``S3DataType``.
    :raises ValidationError: the data type is neither S3Prefix nor ManifestFile, or the URI is invalid.
    """
    if source.get("S3DataType", "S3Prefix") not in {"S3Prefix", "ManifestFile"}:
        raise ValidationError(
            f"{what}: S3DataType {source['S3DataType']!r} is not supported by the local runtime. "
            "Use S3Prefix or ManifestFile."
        )
    split_uri(source["S3Uri"])


def stage_s3_source(
    job: Job,
    source: dict[str, Any],
    container_path: str,
    *,
    compression: str | None = None,
    share: tuple[int, int] = (0, 1),
) -> list[Path]:
    """Download the objects of an S3 source to a container path.

    :param source: an object with ``S3Uri`` and ``S3DataType``.
    :param compression: with ``"Gzip"``, every object is decompressed, as on AWS.
    :param share: the number of the instance, and how many share the objects between them.
    :return: the files, in key order.
    """
    if source.get("S3DataType") == "ManifestFile":
        files = _stage_manifest(job, source["S3Uri"], container_path, share)
    else:
        files = job.download(source["S3Uri"], container_path, share)
    return [unzip(path) for path in files] if compression == "Gzip" else files


def _stage_manifest(job: Job, uri: str, container_path: str, share: tuple[int, int]) -> list[Path]:
    """Download the objects of a manifest: ``[{"prefix": "s3://bucket/folder/"}, "key", ...]``."""
    folder, (first, step) = job.folder.host_path(container_path), share
    files = []
    for bucket, prefix, key in manifest_entries(uri, job.storage.read_bytes(uri))[first::step]:
        job.check_not_stopped()
        files.append(job.storage.fetch(bucket, prefix + key, folder / relative_key(key, "")))
    return files


def manifest_entries(uri: str, content: bytes) -> list[tuple[str, str, str]]:
    """Return the bucket, the prefix and the relative key of each object in a manifest.

    :raises JobFailedError: the manifest cannot be read.
    """
    try:
        head, *keys = json.loads(content)
        bucket, prefix = split_uri(head["prefix"])
        return [(bucket, prefix, str(key)) for key in keys]
    except (ValueError, TypeError, KeyError, ValidationError) as error:
        raise JobFailedError(
            f"ClientError: Invalid manifest {uri}: {error}. "
            'Expected [{"prefix": "s3://bucket/folder/"}, "relative/key", ...].'
        ) from error
