"""No archive that a job is given writes outside its folder, takes all memory or never ends."""

from __future__ import annotations

import gzip
import io
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sagemaker_local_runtime.exceptions import JobFailedError
from sagemaker_local_runtime.jobs import archives
from sagemaker_local_runtime.jobs.archives import members, unpack, unzip

Fill = Callable[[tarfile.TarFile], None]


def add(tar: tarfile.TarFile, name: str, content: bytes = b"", **fields: Any) -> None:
    """Add a member with exactly this name and these header fields."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    for field, value in fields.items():
        setattr(member, field, value)
    tar.addfile(member, io.BytesIO(content) if content else None)


def link(tar: tarfile.TarFile, name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> None:
    add(tar, name, type=kind, linkname=target)


@pytest.fixture
def archive(tmp_path: Path) -> Callable[[Fill], Path]:
    """Write an archive in a folder of its own, away from where it is unpacked."""

    def write(fill: Fill) -> Path:
        path = tmp_path / "archive" / "model.tar.gz"
        path.parent.mkdir(exist_ok=True)
        with tarfile.open(path, "w:gz") as tar:
            fill(tar)
        return path

    return write


def chain_of_long_links(tar: tarfile.TarFile) -> None:
    """CVE-2025-4517: a path too long for ``realpath`` to resolve, so that its ``..`` are not counted."""
    folder, path = "d" * 247, ""
    for step in "abcdefghijklmnop":
        add(tar, f"{path}{folder}", type=tarfile.DIRTYPE, mode=0o755)
        link(tar, f"{path}{step}", folder)
        path += f"{folder}/"
    short = "/".join("abcdefghijklmnop")
    link(tar, f"{short}/{'l' * 254}", "../" * 16)
    link(tar, "escape", f"{short}/{'l' * 254}/../outside")
    add(tar, "escape/written", b"x")


def link_through_a_link(tar: tarfile.TarFile) -> None:
    add(tar, "a/b/c/file", b"x")
    link(tar, "a/b/c/top", "../../..")
    link(tar, "escape", "a/b/c/top/../outside")


def file_below_a_link(tar: tarfile.TarFile) -> None:
    link(tar, "l", "a")
    add(tar, "l/written", b"x")


def hard_link_through_a_link(tar: tarfile.TarFile) -> None:
    link(tar, "l", "a")
    link(tar, "hard", "l/file", tarfile.LNKTYPE)


def hard_link_to_a_link(tar: tarfile.TarFile) -> None:
    link(tar, "l", "a")
    link(tar, "hard", "l", tarfile.LNKTYPE)


def folder_becomes_a_link(tar: tarfile.TarFile) -> None:
    add(tar, "d/file", b"x")
    link(tar, "d", ".")


def negative_size(tar: tarfile.TarFile) -> None:
    tar.format = tarfile.GNU_FORMAT
    add(tar, "file", size=-1024)


def many(tar: tarfile.TarFile) -> None:
    for number in range(11):
        add(tar, str(number))


@pytest.mark.parametrize(
    ("fill", "reason"),
    [
        (chain_of_long_links, "goes through a link"),
        (link_through_a_link, "leads out"),
        (lambda tar: add(tar, "../outside/written", b"x"), "leads out"),
        (lambda tar: add(tar, "a/../../outside/written", b"x"), "leads out"),
        (lambda tar: add(tar, "/tmp/outside-absolute", b"x"), "leads out"),
        (lambda tar: link(tar, "l", "/etc/passwd"), "leads out"),
        (lambda tar: link(tar, "l", "../outside"), "leads out"),
        (lambda tar: link(tar, "l", "../outside", tarfile.LNKTYPE), "leads out"),
        (lambda tar: link(tar, "l", "missing", tarfile.LNKTYPE), "finds no earlier file"),
        (file_below_a_link, "goes through a link"),
        (hard_link_through_a_link, "goes through a link"),
        (hard_link_to_a_link, "finds no earlier file"),
        (folder_becomes_a_link, "File exists"),
        (lambda tar: add(tar, "null", type=tarfile.CHRTYPE, devmajor=1, devminor=3), "neither a file"),
        (lambda tar: add(tar, "pipe", type=tarfile.FIFOTYPE), "neither a file"),
        (negative_size, "size of -1024"),
        (lambda tar: add(tar, "file", pax_headers={"size": "-1024"}), "size of -1024"),
        (lambda tar: add(tar, "file", size=1 << 60), "half of the free disk space"),
        (lambda tar: add(tar, "n", size=1 << 30, type=tarfile.GNUTYPE_LONGNAME), "size of 1073741824"),
        (many, "more than 10 members"),
    ],
)
def test_a_crafted_archive_is_refused_and_nothing_is_written_outside(
    archive: Callable[[Fill], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fill: Fill,
    reason: str,
) -> None:
    if fill is many:
        monkeypatch.setattr(archives, "_MOST_MEMBERS", 10)
    path = archive(fill)
    (tmp_path / "outside").mkdir()
    with pytest.raises(JobFailedError, match=f"^ClientError: Cannot unpack model.tar.gz: .*{reason}"):
        unpack(path, tmp_path / "job")
    assert not list((tmp_path / "outside").iterdir())
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["archive", "job", "outside"]


def test_files_folders_and_links_that_stay_inside_are_unpacked(
    archive: Callable[[Fill], Path], tmp_path: Path
) -> None:
    def fill(tar: tarfile.TarFile) -> None:
        add(tar, ".", type=tarfile.DIRTYPE, mode=0o777)
        add(tar, "./code/run.sh", b"old")
        add(tar, "./code/run.sh", b"echo", mode=0o4777)
        add(tar, "empty", type=tarfile.DIRTYPE, mode=0)
        link(tar, "code/current", "../code/run.sh")
        link(tar, "same", "./code/run.sh", tarfile.LNKTYPE)

    unpack(archive(fill), tmp_path / "job")
    script = tmp_path / "job" / "code" / "run.sh"
    assert script.read_bytes() == (tmp_path / "job" / "code" / "current").read_bytes() == b"echo"
    assert script.stat().st_mode & 0o7777 == 0o755
    assert script.samefile(tmp_path / "job" / "same")
    assert (tmp_path / "job" / "empty").is_dir()


@pytest.mark.parametrize(
    "content", [b"", b"no archive", gzip.compress(b"no archive", mtime=0), b"\x1f\x8b\x08broken"]
)
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.tar.gz"
    path.write_bytes(content)
    with pytest.raises(JobFailedError, match="Cannot unpack"):
        unpack(path, tmp_path / "job")


@pytest.mark.parametrize("kind", ["XHDTYPE", "XGLTYPE"])
def test_a_chain_of_headers_without_a_member_is_refused(archive: Callable[[Fill], Path], kind: str) -> None:
    def fill(tar: tarfile.TarFile) -> None:
        for _ in range(3000):
            add(tar, "header", b"12 path=abc\n", type=getattr(tarfile, kind))

    with pytest.raises(JobFailedError, match="Cannot unpack"):
        list(members(archive(fill)))


def test_a_gzip_file_that_would_fill_the_disk_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "rows.csv.gz"
    path.write_bytes(gzip.compress(bytes(3 << 20)))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=4 << 20))
    with pytest.raises(JobFailedError, match="half of the free disk space"):
        unzip(path)
    assert (tmp_path / "rows.csv").stat().st_size <= 2 << 20
