"""The lock of a data directory: one server at a time, and where it listens."""

from __future__ import annotations

import fcntl
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from sagemaker_local_runtime.exceptions import SettingsError

_TRIES, _MOMENT = 5, 0.02
_START_SECONDS, _POLL_SECONDS = 60.0, 0.1


@dataclass(frozen=True)
class Server:
    """A server that uses a data directory.

    :param pid: its process.
    :param endpoint_url: where it answers.
    """

    pid: int
    endpoint_url: str


class DataLock:
    """The lock, held until it is released or the process ends, however it ends.

    :param data_dir: the data directory; it is created if it does not exist.
    :raises SettingsError: the directory is in use or cannot be used.
    """

    def __init__(self, data_dir: Path) -> None:
        self._file = _open(data_dir)
        if not self._take_soon():
            self._file.close()
            raise SettingsError(
                f"The data directory {data_dir} is used by another local runtime. "
                "Stop it, or choose another directory."
            )
        self._file.truncate(0)

    def _take_soon(self) -> bool:
        # Whoever asks for the server of the directory has the lock for a moment, see server_of().
        for _ in range(_TRIES):
            if _take(self._file):
                return True
            time.sleep(_MOMENT)
        return False

    def announce(self, endpoint_url: str) -> None:
        """Tell other processes that this one answers now, and where."""
        json.dump(asdict(Server(os.getpid(), endpoint_url)), self._file)
        self._file.flush()

    def release(self) -> None:
        """Let another server use the directory."""
        self._file.close()


def server_of(data_dir: Path, start_seconds: float = _START_SECONDS) -> Server | None:
    """Return the server that uses a data directory, or None.

    :param data_dir: the data directory.
    :param start_seconds: how long to wait for a server that does not answer yet, since it is starting.
    :raises SettingsError: it has not answered by then.
    """
    if not (data_dir / "lock").exists():
        return None
    deadline = time.monotonic() + start_seconds
    while True:
        with _open(data_dir) as file:
            # Shared, so that several processes may ask at the same time.
            if _take(file, fcntl.LOCK_SH):
                return None
        if server := announced(data_dir):
            return server
        if time.monotonic() > deadline:
            raise SettingsError(
                f"A server uses {data_dir}, but has not said within {start_seconds:.0f} s where it answers. "
                f"Try again later, or see {data_dir / 'server.log'} for what it does."
            )
        time.sleep(_POLL_SECONDS)


def announced(data_dir: Path) -> Server | None:
    """Return what the last server of a data directory has announced, which may have ended since.

    Unlike :func:`server_of`, this does not touch the lock, and so cannot get in the way of one that starts.
    """
    try:
        return Server(**json.loads((data_dir / "lock").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _open(data_dir: Path) -> IO[str]:
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        return (data_dir / "lock").open("a", encoding="utf-8")
    except OSError as error:
        raise SettingsError(
            f"The data directory {data_dir} cannot be used: {error}. "
            "Choose a directory that this user can write to."
        ) from error


def _take(file: IO[str], kind: int = fcntl.LOCK_EX) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
