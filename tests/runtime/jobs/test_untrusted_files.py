"""Files that a program leaves in place of those that the local runtime reads and writes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sagemaker_local_runtime.exceptions import JobFailedError
from sagemaker_local_runtime.jobs.container import Container, JobFiles
from sagemaker_local_runtime.jobs.logs import LogShipper
from sagemaker_local_runtime.jobs.sandbox import JobFolder
from sagemaker_local_runtime.jobs.untrusted import read_file
from tests.runtime.jobs.conftest import JobRuntime

MESSAGE = "/opt/ml/output/message"


@pytest.fixture
def container(runtime: JobRuntime, tmp_path: Path) -> Iterator[Container]:
    folder = JobFolder(tmp_path / "job")
    folder.host_path(MESSAGE).parent.mkdir(parents=True)
    shipper = LogShipper(runtime.account)
    files = JobFiles(folder, runtime.jobs.sandbox, shipper.open("group", "stream", folder.log))
    yield Container(runtime.storage, files, runtime.jobs.packages)
    files.log.close()
    shipper.close()


def test_only_a_regular_file_is_read(tmp_path: Path) -> None:
    file, link, pipe = tmp_path / "file", tmp_path / "link", tmp_path / "pipe"
    file.write_bytes(b"content")
    link.symlink_to(file)
    os.mkfifo(pipe)
    assert [read_file(path, 4) for path in (file, link, pipe, tmp_path, tmp_path / "none")] == [
        b"cont",
        *[None] * 4,
    ]


def test_a_message_may_be_a_link_inside_of_the_job_s_folder(container: Container) -> None:
    path = container.folder.host_path(MESSAGE)
    path.with_name("other").write_text("done")
    path.symlink_to("other")
    assert container.read_message(MESSAGE) == "done"
    path.unlink()
    path.symlink_to(path.name)
    assert container.read_message(MESSAGE) is None, "a link to itself"
    path.unlink()
    path.symlink_to("/etc/passwd")
    with pytest.raises(JobFailedError, match="a link that leads out"):
        container.read_message(MESSAGE)


def test_a_pipe_in_place_of_a_configuration_is_replaced(container: Container) -> None:
    path = container.folder.host_path(MESSAGE)
    os.mkfifo(path)
    container.write_config(MESSAGE, {"a": 1})
    assert container.read_message(MESSAGE) == '{"a": 1}'
