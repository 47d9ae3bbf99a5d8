"""Two machines that archive the same files get the same bytes."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from sagemaker_compile.archives import is_ignored, normalized, normalized_zip
from sagemaker_compile.exceptions import CompileError


def tar_gz(folder: Path, names: list[str]) -> bytes:
    """Archive these files as the SDK does: with their times and owners, in any order."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name in names:
            archive.add(folder / name, arcname=name)
    return buffer.getvalue()


def contents(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        return {
            member.name: file.read()
            for member in opened.getmembers()
            if (file := opened.extractfile(member)) is not None
        }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "src" / "lib").mkdir(parents=True)
    (tmp_path / "src" / "train.py").write_text("print('train')\n")
    (tmp_path / "src" / "lib" / "model.py").write_text("x = 1\n")
    return tmp_path


def test_times_modes_order_and_bytecode_do_not_matter(folder: Path) -> None:
    first = tar_gz(folder, ["src/train.py", "src/lib"])
    (folder / "src" / "lib" / "__pycache__").mkdir()
    (folder / "src" / "lib" / "__pycache__" / "model.cpython-311.pyc").write_bytes(b"\0")
    (folder / "src" / ".env").write_text("PASSWORD=secret\n")
    (folder / "src" / "lib" / "empty").mkdir()
    os.utime(folder / "src" / "train.py", (1, 1))
    (folder / "src" / "train.py").chmod(0o600)
    second = tar_gz(folder, ["src/lib", "src/.env", "src/train.py"])
    assert first != second
    assert normalized("sourcedir.tar.gz", first) == normalized("sourcedir.tar.gz", second)
    assert contents(normalized("sourcedir.tar.gz", second)) == {
        "src/train.py": b"print('train')\n",
        "src/lib/model.py": b"x = 1\n",
    }


def test_an_archive_is_a_valid_gzip_file_of_any_size(folder: Path) -> None:
    """The blocks of a gzip file hold at most 65,535 bytes each."""
    content = bytes(range(256)) * 1024
    (folder / "data.bin").write_bytes(content)
    archive = normalized("sourcedir.tar.gz", tar_gz(folder, ["data.bin"]))
    assert len(gzip.decompress(archive)) >= len(content)
    assert contents(archive) == {"data.bin": content}


def test_what_is_written_again_does_not_change(folder: Path) -> None:
    once = normalized("sourcedir.tar.gz", tar_gz(folder, ["src"]))
    assert normalized("sourcedir.tar.gz", once) == once


def test_a_program_stays_executable_and_a_hard_link_becomes_a_file(folder: Path) -> None:
    (folder / "src" / "train.py").chmod(0o755)
    os.link(folder / "src" / "train.py", folder / "src" / "zz.py")
    archive = normalized("sourcedir.tar.gz", tar_gz(folder, ["src"]))
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        modes = {member.name: (member.mode, member.isfile()) for member in opened.getmembers()}
    assert modes == {
        "src/lib/model.py": (0o644, True),
        "src/train.py": (0o755, True),
        "src/zz.py": (0o755, True),
    }
    assert contents(archive)["src/zz.py"] == b"print('train')\n"


def test_a_link_within_the_archive_stays(folder: Path) -> None:
    (folder / "src" / "lib" / "link.py").symlink_to("../train.py")
    archive = normalized("sourcedir.tar.gz", tar_gz(folder, ["src"]))
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        assert opened.getmember("src/lib/link.py").linkname == "../train.py"


@pytest.mark.parametrize("target", ["/etc/hostname", "../outside.py", "lib/../../../outside.py"])
def test_a_link_out_of_the_archive_is_refused_with_its_file(folder: Path, target: str) -> None:
    (folder / "src" / "link.py").symlink_to(target)
    archive = tar_gz(folder / "src", ["link.py"])
    with pytest.raises(
        CompileError, match=rf"sourcedir\.tar\.gz holds the link link\.py to {target}, expected"
    ):
        normalized("sourcedir.tar.gz", archive)


def test_a_named_pipe_is_refused_with_its_name(folder: Path) -> None:
    os.mkfifo(folder / "src" / "pipe")
    with pytest.raises(CompileError, match=r"sourcedir\.tar\.gz holds src/pipe, expected files and links"):
        normalized("sourcedir.tar.gz", tar_gz(folder, ["src"]))


def test_a_compressed_file_that_is_no_archive_is_left_as_it_is() -> None:
    for content in (gzip.compress(b"a,b\n1,2\n"), b"\x1f\x8b no gzip", b"a,b\n"):
        assert normalized("data.csv.gz", content) == content


def zipped(path: str, *, year: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression=zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(path, (year, 1, 1, 0, 0, 0)), "x = 1\n")
    return buffer.getvalue()


def test_the_code_of_a_function_is_written_again_and_a_workbook_is_not() -> None:
    old, new = zipped("index.py", year=2001), zipped("index.py", year=2026)
    assert normalized_zip("double", old) == normalized_zip("double", new) != new
    with zipfile.ZipFile(io.BytesIO(normalized_zip("double", new))) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {"index.py": b"x = 1\n"}
    assert normalized("data.xlsx", new) == new


def test_a_link_in_the_code_of_a_function_is_refused() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        link = zipfile.ZipInfo("double.py")
        link.external_attr = 0o120777 << 16
        target.writestr(link, "../elsewhere.py")
    with pytest.raises(CompileError, match=r"'double' holds the link double\.py, expected files only"):
        normalized_zip("double", buffer.getvalue())


@pytest.mark.parametrize(
    ("path", "ignored"),
    [
        ("lib/__pycache__/a.cpython-311.pyc", True),
        ("a.pyc", True),
        (".git/HEAD", True),
        (".env", True),
        (".env.local", True),
        ("environment.py", False),
        (".environment", False),
        ("cache/a.py", False),
    ],
)
def test_only_what_tools_leave_behind_is_ignored(path: str, ignored: bool) -> None:
    assert is_ignored(path) is ignored
