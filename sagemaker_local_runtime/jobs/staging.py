"""Download the inputs of a job to where its container expects them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sagemaker_local_runtime.exceptions import JobFailedError, ValidationError
from sagemaker_local_runtime.jobs.archives import members, unzip
from sagemaker_local_runtime.jobs.job import Job
from sagemaker_local_runtime.services.storage import relative_key, split_uri

_REQUIREMENTS = "requirements.txt"


def check_s3_source(source: dict[str, Any], what: str) -> None:
    """Refuse a source that the local runtime cannot stage.

    :param source: an object with ``S3Uri`` and ``S3DataType``.
    :raises ValidationError: the data type is neither S3Prefix nor ManifestFile, or the URI is invalid.
    """
    split_uri(source["S3Uri"])
    if source.get("S3DataType", "S3Prefix") not in {"S3Prefix", "ManifestFile"}:
        raise ValidationError(
            f"{what}: S3DataType {source['S3DataType']!r} is not supported by the local runtime. "
            "Use S3Prefix or ManifestFile."
        )


def stage_s3_source(
    job: Job, source: dict[str, Any], container_path: str, *, compression: str | None = None
) -> list[Path]:
    """Download the objects of an S3 source to a container path.

    :param source: an object with ``S3Uri`` and ``S3DataType``.
    :param compression: with ``"Gzip"``, every object is decompressed, as on AWS.
    :return: the files, in key order.
    """
    if source.get("S3DataType") == "ManifestFile":
        files = _stage_manifest(job, source["S3Uri"], container_path)
    else:
        files = job.download(source["S3Uri"], container_path)
    return [unzip(path) for path in files] if compression == "Gzip" else files


def _stage_manifest(job: Job, uri: str, container_path: str) -> list[Path]:
    """Download the objects of a manifest: ``[{"prefix": "s3://bucket/folder/"}, "key", ...]``."""
    folder = job.folder.host_path(container_path)
    files = []
    for bucket, prefix, key in manifest_entries(uri, job.storage.read_bytes(uri)):
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


def refuse_requirements(folder: Path) -> None:
    """Refuse source code that needs packages to be installed.

    :raises JobFailedError: the folder, or a ``sourcedir.tar.gz`` in it, has a ``requirements.txt``.
    """
    found = [path.name for path in (folder / _REQUIREMENTS,) if path.exists()]
    archive = folder / "sourcedir.tar.gz"
    if archive.is_file():
        found += [
            f"{archive.name}:{member.name}"
            for member, _ in members(archive)
            if member.name.removeprefix("./") == _REQUIREMENTS
        ]
    if found:
        raise JobFailedError(
            f"ClientError: {found[0]} in the job's source is refused: the local runtime runs every image in "
            "its own Python environment and never installs packages into it. Remove the file, and install "
            "its packages into the environment of the local runtime."
        )
