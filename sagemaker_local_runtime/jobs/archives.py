"""Read untrusted archives: no member can leave its folder, fill the disk or use up the memory.

``tarfile`` reads the headers; this module extracts. Before Python 3.11.13, ``extractall(filter="data")``
follows crafted links out of the folder (CVE-2025-4517), and a negative size makes ``getnames`` loop forever.
"""

from __future__ import annotations

import gzip
import os
import shutil
import stat
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Self

from sagemaker_local_runtime.exceptions import JobFailedError

_CHUNK = 1 << 20
_MOST_MEMBERS = 100_000
_LONGEST_HEADER = 1 << 20
# tarfile reads these into memory completely: long names, and the attributes of the pax format.
_HEADER_TYPES = {
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
}


class _Header(tarfile.TarInfo):
    """A header whose size is checked before that many bytes are read."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Read a header block."""
        header = super().frombuf(buf, encoding, errors)
        _check_size(header)
        return header


def members(archive: Path) -> Iterator[tuple[tarfile.TarInfo, IO[bytes] | None]]:
    """Yield each member of a tar archive, compressed or not, with the content of files, in one pass.

    :param archive: the archive; its members may take at most half of the free space on its disk.
    :raises JobFailedError: it is not a tar archive, or its members are too many or too large.
    """
    with _refusing(archive), tarfile.open(archive, "r|*", tarinfo=_Header) as tar:
        room = shutil.disk_usage(archive.parent).free // 2
        total = 0
        for number, member in enumerate(tar):
            _check_size(member)
            total += member.size if member.isreg() else 0
            if number >= _MOST_MEMBERS:
                raise tarfile.ReadError(f"it has more than {_MOST_MEMBERS:,} members")
            if total > room:
                raise tarfile.ReadError(
                    f"its members up to {member.name!r} have {total:,} bytes, more than half of the free "
                    f"disk space ({room:,} bytes); free some space"
                )
            yield member, tar.extractfile(member) if member.isreg() else None


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a tar archive of files, folders and links into a folder, which is created if needed.

    :param archive: an archive with a model or source code.
    :param folder: where its members go; nothing is written through a link, and no link leads out of it.
    :raises JobFailedError: it cannot be unpacked safely.
    """
    with _refusing(archive):
        folder.mkdir(parents=True, exist_ok=True)
        for member, content in members(archive):
            _extract(member, content, folder)


def unzip(path: Path) -> Path:
    """Replace a gzip file with its content, named without ``.gz``, and return it; keep any other file.

    :raises JobFailedError: it is not a gzip file, or its content is larger than half of the free space.
    """
    if path.suffix != ".gz":
        return path
    target, room = path.with_suffix(""), shutil.disk_usage(path.parent).free // 2
    with _refusing(path), gzip.open(path) as source, target.open("wb") as file:
        while chunk := source.read(_CHUNK):
            if file.tell() + len(chunk) > room:
                raise tarfile.ReadError(
                    f"its content is larger than half of the free disk space ({room:,} bytes)"
                )
            file.write(chunk)
    path.unlink()
    return target


@contextmanager
def _refusing(archive: Path) -> Iterator[None]:
    """Turn every error that a broken archive can raise into the failure of its job."""
    try:
        yield
    except JobFailedError:
        raise
    except Exception as error:
        # TarError, OSError, EOFError, zlib.error, LZMAError, and from crafted headers ValueError and
        # RecursionError.
        raise JobFailedError(f"ClientError: Cannot unpack {archive.name}: {error}") from error


def _check_size(member: tarfile.TarInfo) -> None:
    if member.size < 0 or (member.type in _HEADER_TYPES and member.size > _LONGEST_HEADER):
        raise tarfile.ReadError(f"the header of {member.name!r} has a size of {member.size} bytes")


def _extract(member: tarfile.TarInfo, content: IO[bytes] | None, folder: Path) -> None:
    path = _place(member.name, folder)
    if path == folder:
        return
    if member.isdir():
        path.mkdir(exist_ok=True)
        return
    if path.is_symlink() or path.is_file():
        path.unlink()  # like tar, which replaces an earlier member with a later one
    if content is not None:
        _write(member, content, path)
    elif member.issym():
        path.symlink_to(_link_target(member, len(path.relative_to(folder).parts) - 1))
    elif member.islnk():
        os.link(_linked_file(member, folder), path, follow_symlinks=False)
    else:
        raise tarfile.ReadError(f"{member.name!r} is neither a file, a folder nor a link")


def _place(name: str, folder: Path) -> Path:
    """Return the path of a name below the folder; its parents are created, and none of them is a link."""
    parts = PurePosixPath(name).parts
    if ".." in parts or name.startswith("/"):
        raise tarfile.ReadError(f"the name {name!r} leads out of its folder")
    path = folder
    for part in parts:
        if path != folder and not path.is_symlink():
            path.mkdir(exist_ok=True)
        if path.is_symlink():
            raise tarfile.ReadError(f"the name {name!r} goes through a link")
        path /= part
    return path


def _write(member: tarfile.TarInfo, content: IO[bytes], path: Path) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        shutil.copyfileobj(content, file, _CHUNK)
        os.fchmod(file.fileno(), 0o755 if member.mode & stat.S_IXUSR else 0o644)


def _link_target(member: tarfile.TarInfo, depth: int) -> str:
    """Return a link's target after checking that it stays in the folder.

    ``..`` is allowed at the beginning only, and at most as often as the link is deep: after the name of
    another link, it would lead to the parent of that link's target.
    """
    parts = PurePosixPath(member.linkname).parts
    climbs = next((number for number, part in enumerate(parts) if part != ".."), len(parts))
    if member.linkname.startswith("/") or climbs > depth or ".." in parts[climbs:]:
        raise tarfile.ReadError(f"the link {member.name!r} to {member.linkname!r} leads out of its folder")
    return member.linkname


def _linked_file(member: tarfile.TarInfo, folder: Path) -> Path:
    target = _place(member.linkname, folder)
    if target.is_symlink() or not target.is_file():
        raise tarfile.ReadError(f"the hard link {member.name!r} to {member.linkname!r} finds no earlier file")
    return target
