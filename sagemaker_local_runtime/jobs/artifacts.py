"""The archives that a training job writes to S3."""

from __future__ import annotations

import gzip
import tarfile
from pathlib import Path

from sagemaker_local_runtime.jobs.job import Job


def upload_model(job: Job) -> str:
    """Upload ``/opt/ml/model`` and return its URI: an archive, or a prefix without compression."""
    config = job.document["OutputDataConfig"]
    if config.get("CompressionType") == "NONE":
        uri = f"{_output_uri(job)}/model/"
        job.storage.upload(job.produced("/opt/ml/model"), uri)
        return uri
    return upload_archive(job, "/opt/ml/model", "model.tar.gz", if_empty=True)


def upload_archive(job: Job, container_path: str, name: str, *, if_empty: bool = False) -> str:
    """Upload a folder as one archive below the job's output path and return its URI.

    :param if_empty: whether to upload an empty folder too.
    """
    folder = job.produced(container_path)
    uri = f"{_output_uri(job)}/{name}"
    if if_empty or (folder.is_dir() and any(folder.iterdir())):
        archive = job.folder.path / name
        write_archive(folder, archive)
        job.storage.upload(archive, uri)
    return uri


def write_archive(folder: Path, archive: Path) -> None:
    """Write a ``tar.gz`` whose bytes depend only on the names, modes and contents of the files."""
    with (
        archive.open("wb") as file,
        gzip.GzipFile(filename="", fileobj=file, mode="wb", compresslevel=6, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w") as tar,
    ):
        for path in sorted(folder.rglob("*")):
            tar.add(path, arcname=str(path.relative_to(folder)), recursive=False, filter=_without_owner)


def _without_owner(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.mtime, member.uid, member.gid, member.uname, member.gname = 0, 0, 0, "", ""
    return member


def _output_uri(job: Job) -> str:
    return f"{job.document['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{job.name}/output"
