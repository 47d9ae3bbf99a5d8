"""What the tests ask about processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil

_SLEEP = ["-c", "print(flush=True); import time; time.sleep(3600)"]
_NEGLECT = (
    "import subprocess, sys; child = subprocess.Popen(sys.argv[1:], start_new_session=True,"
    " stdout=subprocess.PIPE); child.stdout.readline(); print(child.pid, flush=True); sys.stdin.read()"
)


def processes_with(mark: str) -> list[int]:
    """Return the ids of the processes whose command line holds a mark."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if mark in " ".join(process.cmdline()) and process.pid != os.getpid():
                found.append(process.pid)
    return found


@contextmanager
def neglected_process(**environment: str) -> Iterator[psutil.Process]:
    """Start a process, in a session of its own, that its parent does not reap when it has ended."""
    with subprocess.Popen(
        [sys.executable, "-c", _NEGLECT, sys.executable, *_SLEEP],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | environment,
    ) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        try:
            yield child
        finally:
            child.kill()
