"""Find and end processes that an earlier runtime left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path

_PROC = Path("/proc")
_STATE_FIELD, _STARTED_FIELD = 0, 19  # of /proc/<pid>/stat, counted behind the command's name
_ENDED = ("Z", "X")  # zombie or dead
_PATIENCE_SECONDS = 2.0


def start_time(pid: int) -> str | None:
    """Return the start time of a process, which tells it from a later one with the same ID, or None."""
    fields = _stat(pid)
    return fields[_STARTED_FIELD] if fields else None


def is_running(pid: int, started: str | None) -> bool:
    """Return whether a process still runs; a zombie, which its parent has not reaped yet, does not.

    :param pid: its process ID.
    :param started: what :func:`start_time` returned for it.
    """
    fields = _stat(pid)
    return fields is not None and fields[_STARTED_FIELD] == started and fields[_STATE_FIELD] not in _ENDED


def end_launcher(pid: int, started: str | None) -> None:
    """End a job's launcher with its whole process tree, if it is still the recorded process.

    :param pid: its process ID.
    :param started: what :func:`start_time` returned for it.
    """
    for signal_number in (signal.SIGUSR1, signal.SIGKILL):
        if not is_running(pid, started):
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal_number)
        _await_end({pid: started})


def end_processes_below(folder: Path) -> None:
    """Kill our processes whose temporary directory is inside a folder, and wait for their end.

    Jobs, and everything that they start, have a ``TMPDIR`` in their own folder.
    """
    mark = b"TMPDIR=" + os.fsencode(f"{folder}/")
    ended = {}
    for entry in _PROC.iterdir() if _PROC.is_dir() else ():
        if not entry.name.isdigit():
            continue
        try:
            variables = (entry / "environ").read_bytes().split(b"\0")
            if any(variable.startswith(mark) for variable in variables):
                pid = int(entry.name)
                ended[pid] = start_time(pid)
                os.kill(pid, signal.SIGKILL)
        except OSError:
            continue
    _await_end(ended)


def _await_end(processes: Mapping[int, str | None]) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while any(is_running(*process) for process in processes.items()) and time.monotonic() < deadline:
        time.sleep(0.01)


def _stat(pid: int) -> list[str] | None:
    try:
        return (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
