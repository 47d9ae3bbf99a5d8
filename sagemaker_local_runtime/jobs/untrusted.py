"""Read a file that a program of a job wrote, which may have put anything in its place."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def read_file(path: Path, limit: int) -> bytes | None:
    """Return the beginning of a file, or None if it does not exist, or is a link, a pipe or a folder.

    :param path: the file; whether its folders are links is for the caller to check.
    :param limit: the most bytes to return.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    # A file object of a folder cannot be made.
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    with os.fdopen(descriptor, "rb") as file:
        return file.read(limit)
