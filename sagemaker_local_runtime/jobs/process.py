"""Run the process tree of a job to its end."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import IO, Literal

_CHUNK = 1 << 16
_GRACE_SECONDS = 5.0


class Interrupt:
    """Ends a process early, from any thread and at any time; once set, it stays set."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._reader, self._writer = os.pipe()
        self._closed = False

    def set(self) -> None:
        """Request the end."""
        with self._lock:
            if not self._event.is_set() and not self._closed:
                self._event.set()
                os.write(self._writer, b"x")

    def is_set(self) -> bool:
        """Return whether the end was requested."""
        return self._event.is_set()

    def fileno(self) -> int:
        """Return the file descriptor that becomes readable when the end is requested."""
        return self._reader

    def close(self) -> None:
        """Close the pipe, when nothing is waiting any more."""
        with self._lock:
            if not self._closed:
                self._closed = True
                os.close(self._reader)
                os.close(self._writer)


@dataclass(frozen=True)
class ProcessEnd:
    """How a process ended.

    :param exit_code: its exit code; 128 + n if signal n ended it.
    :param cause: whether it exited, was stopped or ran out of time.
    """

    exit_code: int
    cause: Literal["exit", "stop", "timeout"]


def run_process(
    arguments: Sequence[str],
    *,
    on_start: Callable[[int], None],
    on_output: Callable[[bytes], None],
    interrupt: Interrupt,
    timeout: float,
) -> ProcessEnd:
    """Start the launcher, pass on its output immediately, and wait for the end of its process tree.

    The calling thread must outlive the launcher, which the kernel kills when the thread ends.

    :param arguments: as ``Sandbox.prepare`` returned them.
    :param on_start: is called with the process ID.
    :param on_output: is called with every chunk of stdout and stderr.
    :param interrupt: ends it early, with SIGTERM and, after a grace period, SIGKILL for the whole tree.
    :param timeout: the seconds that it may run, after which it is ended in the same way.
    """
    process = subprocess.Popen(
        arguments,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={},
        bufsize=0,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        on_start(process.pid)
        return _Watch(process, process.stdout, interrupt, timeout).run(on_output)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGUSR1)
            process.wait()
        process.stdout.close()


class _Watch:
    """A loop over output, interrupt and deadlines; the output ends when the process tree has ended."""

    def __init__(
        self, process: subprocess.Popen[bytes], output: IO[bytes], interrupt: Interrupt, timeout: float
    ) -> None:
        self._process, self._output, self._interrupt = process, output, interrupt
        self._deadline = time.monotonic() + timeout
        self._cause: Literal["exit", "stop", "timeout"] = "exit"
        self._signals = [signal.SIGTERM, signal.SIGUSR1, signal.SIGKILL]

    def run(self, on_output: Callable[[bytes], None]) -> ProcessEnd:
        with selectors.DefaultSelector() as selector:
            selector.register(self._output, selectors.EVENT_READ)
            selector.register(self._interrupt, selectors.EVENT_READ)
            idle_after_end = False
            while True:
                ready = {key.fileobj for key, _ in selector.select(self._seconds_left())}
                if self._output in ready:
                    chunk = os.read(self._output.fileno(), _CHUNK)
                    if not chunk:
                        break
                    on_output(chunk)
                elif self._process.poll() is not None:
                    # An orphan can hold the pipe open only where the kernel has no subreapers.
                    if idle_after_end:
                        break
                    idle_after_end = True
                if self._interrupt in ready:
                    selector.unregister(self._interrupt)
                    self._begin_end("stop")
                if time.monotonic() >= self._deadline:
                    self._begin_end("timeout")
        return ProcessEnd(self._process.wait(), self._cause)

    def _seconds_left(self) -> float:
        return max(0.0, min(1.0, self._deadline - time.monotonic()))

    def _begin_end(self, cause: Literal["stop", "timeout"]) -> None:
        """Send the next, harder signal and start the grace period."""
        if self._cause == "exit":
            self._cause = cause
        if self._signals:
            self._process.send_signal(self._signals.pop(0))
        self._deadline = time.monotonic() + _GRACE_SECONDS
