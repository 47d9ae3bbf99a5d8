"""Write archives again so that their bytes depend only on what they contain.

An archive of the SDK holds the times, owners and order of the files on one machine, and zlib's output differs
between its builds. So members are sorted, their times and owners are fixed, and nothing is compressed.
"""

from __future__ import annotations

import gzip
import io
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import PurePosixPath

from sagemaker_compile.exceptions import CompileError

#: What is left out of every asset, because tools write it beside the code, or because it holds secrets: the
#: names in ``SourceCode.ignore_patterns`` of the SDK (sagemaker 3.27.0), bytecode, and the kin of ``.env``.
IGNORED = ("__pycache__", "*.pyc", ".git", ".cache", ".ipynb_checkpoints", ".DS_Store", ".env", ".env.*")

_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # deflate, no flags, no time, unknown system
_STORED_BLOCK = 0xFFFF
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)


def is_ignored(path: str) -> bool:
    """Return whether a file is left out of assets.

    :param path: its path in the archive or folder, with slashes.
    """
    return any(fnmatch(part, pattern) for part in PurePosixPath(path).parts for pattern in IGNORED)


def normalized(name: str, content: bytes) -> bytes:
    """Return the content of a file; if it is a gzipped tar archive, written again.

    A zip file is left as it is: it may be a workbook or an array.

    :param name: the file's name, which errors mention.
    :param content: the file's content.
    :raise CompileError: if the archive holds a link out of it, or a device.
    """
    if content.startswith(b"\x1f\x8b"):
        try:
            return _tar_gz(name, gzip.decompress(content))
        except (tarfile.ReadError, gzip.BadGzipFile, zlib.error, EOFError):
            return content
    return content


def _tar_gz(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(content)) as source,
        tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as target,
    ):
        for member, path in sorted(_members(name, source), key=lambda item: item[1]):
            info = tarfile.TarInfo(path)
            info.mode = 0o755 if member.mode & 0o100 else 0o644
            if member.issym():
                info.type, info.linkname = tarfile.SYMTYPE, member.linkname
                target.addfile(info)
                continue
            data = source.extractfile(member)
            body = data.read() if data else b""
            info.size = len(body)
            target.addfile(info, io.BytesIO(body))
    return _gzip_stored(buffer.getvalue())


def _members(name: str, archive: tarfile.TarFile) -> Iterator[tuple[tarfile.TarInfo, str]]:
    """Yield the files of an archive with their paths; a folder exists through its files, as in git."""
    for member in archive.getmembers():
        path = str(PurePosixPath(member.name))
        if member.isdir() or is_ignored(path):
            continue
        target = PurePosixPath(path).parent / member.linkname
        if member.issym() and (target.is_absolute() or _leaves(target)):
            raise CompileError(
                f"{name} holds the link {path} to {member.linkname}, expected links to files in the same "
                "folder: the target would not be in the container. Replace the link with the file."
            )
        # A hard link is read as the file that it names.
        if not (member.isfile() or member.issym() or member.islnk()):
            raise CompileError(f"{name} holds {path}, expected files and links only. Remove it.")
        yield member, path


def _leaves(path: PurePosixPath) -> bool:
    depth = 0
    for part in path.parts:
        depth += -1 if part == ".." else 1
        if depth < 0:
            return True
    return False


def _gzip_stored(content: bytes) -> bytes:
    """Return the content as a gzip file of stored blocks (RFC 1952, RFC 1951 section 3.2.4)."""
    blocks = [content[start : start + _STORED_BLOCK] for start in range(0, len(content), _STORED_BLOCK)]
    parts = [_GZIP_HEADER]
    for index, block in enumerate(blocks, 1):
        parts.append(struct.pack("<BHH", index == len(blocks), len(block), len(block) ^ 0xFFFF))
        parts.append(block)
    return b"".join([*parts, struct.pack("<II", zlib.crc32(content), len(content) & 0xFFFFFFFF)])


def normalized_zip(name: str, content: bytes) -> bytes:
    """Return the zip archive with the code of a Lambda function, written again.

    :param name: the function's name, which errors mention.
    :param content: the archive.
    :raise CompileError: if it holds a link.
    :raise zipfile.BadZipFile: if it is not a zip archive.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(buffer, "w") as target:
        for member in sorted(source.infolist(), key=lambda item: item.filename):
            if member.is_dir() or is_ignored(member.filename):
                continue
            mode = member.external_attr >> 16
            if stat.S_ISLNK(mode):
                raise CompileError(
                    f"The code of the Lambda function {name!r} holds the link {member.filename}, expected "
                    "files only. Replace the link with the file."
                )
            info = zipfile.ZipInfo(member.filename, _ZIP_EPOCH)
            info.create_system = 3  # Unix, whose permissions Lambda applies
            info.external_attr = (0o755 if mode & 0o100 else 0o644) << 16
            target.writestr(info, source.read(member))
    return buffer.getvalue()
