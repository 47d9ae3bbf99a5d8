"""Find and end processes that an earlier runtime left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

_PROC = Path("/proc")
_STATE_FIELD, _STARTED_FIELD = 0, 19  # of /proc/<pid>/stat, counted behind the command's name
_ENDED = ("Z", "X")  # its parent may not have collected it yet
_PATIENCE_SECONDS = 2.0


def start_time(pid: int) -> str | None:
    """Return the start time of a process, which tells it from a later one with the same ID.

    None if it has ended.
    """
    try:
        fields = (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[_STATE_FIELD] in _ENDED else fields[_STARTED_FIELD]


def end_launcher(pid: int, started: str | None) -> None:
    """End a job's launcher with its whole process tree, if it is still the recorded process.

    :param pid: its process ID.
    :param started: what :func:`start_time` returned for it.
    """
    for signal_number in (signal.SIGUSR1, signal.SIGKILL):
        if started is None or start_time(pid) != started:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal_number)
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while start_time(pid) == started and time.monotonic() < deadline:
            time.sleep(0.01)


def end_processes_below(folder: Path) -> list[int]:
    """Kill our processes whose temporary directory is inside a folder, and return their IDs.

    Jobs, and everything that they start, have a ``TMPDIR`` in their own folder.
    """
    mark = b"TMPDIR=" + os.fsencode(f"{folder}/")
    ended = []
    for entry in _PROC.iterdir() if _PROC.is_dir() else ():
        if not entry.name.isdigit():
            continue
        try:
            variables = (entry / "environ").read_bytes().split(b"\0")
            if any(variable.startswith(mark) for variable in variables):
                os.kill(int(entry.name), signal.SIGKILL)
                ended.append(int(entry.name))
        except OSError:
            continue
    return ended
