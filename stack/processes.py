"""Background processes, each in its own session, with a pid file and a log."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from sagemaker_local_runtime.processes import start_time
from stack.exceptions import PortInUseError, ProcessDiedError, StartTimeoutError

TERM_SECONDS, KILL_SECONDS = 30.0, 10.0
LOG_TAIL_LINES = 25


@dataclass(frozen=True, kw_only=True)
class ProcessSpec:
    """A process to start.

    :param name: the name of the pid file and the log.
    :param command: the program and its arguments.
    :param env: its whole environment.
    :param port: the port it will listen on, if any.
    """

    name: str
    command: Sequence[str]
    env: Mapping[str, str]
    port: int | None = None


class ProcessTable:
    """Start, watch and stop the processes whose pid files are in one folder.

    A pid file has the pid and the start time of its process, so that a later command recognises the process,
    and never signals another one that has the same pid. The process leads a group, which may outlive it; the
    group is recognised by its output, which goes to the log.

    :param state_dir: the folder; pid files are in ``run/`` below it, output is in ``logs/``.
    """

    def __init__(self, state_dir: Path) -> None:
        self._pids = state_dir.resolve() / "run"
        self._logs = state_dir.resolve() / "logs"

    def start(self, spec: ProcessSpec) -> int:
        """Start a process in its own session, and return its pid.

        :raises PortInUseError: another program listens on its port.
        """
        if spec.port is not None:
            require_free_port(spec.port, spec.name)
        self._pids.mkdir(parents=True, exist_ok=True)
        self._logs.mkdir(parents=True, exist_ok=True)
        with self.log_path(spec.name).open("wb") as log:
            process = subprocess.Popen(
                list(spec.command),
                env=dict(spec.env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        record = {"pid": process.pid, "started": started_at(process.pid)}
        self._pid_path(spec.name).write_text(json.dumps(record))
        return process.pid

    def running(self, name: str) -> psutil.Process | None:
        """Return the process if it is ours and alive."""
        pid = self._pid(name)
        with contextlib.suppress(psutil.NoSuchProcess):
            if pid is not None and runs(process := psutil.Process(pid)):
                return process
        return None

    def started(self) -> list[str]:
        """Return the names of the processes that were started and not stopped, even if they have died."""
        return sorted(path.stem for path in self._pids.glob("*.pid"))

    def forget(self, name: str) -> None:
        """Treat the process as stopped."""
        self._pid_path(name).unlink(missing_ok=True)

    def listens(self, name: str, port: int) -> bool:
        """Return whether our process or a child of it listens on the port."""
        process = self.running(name)
        if process is None:
            return False
        with contextlib.suppress(psutil.NoSuchProcess):
            for member in [process, *process.children(recursive=True)]:
                with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                    if port in _listening_ports(member):
                        return True
        return False

    def require_alive(self, names: Sequence[str]) -> None:
        """Check that all these processes are running.

        :raises ProcessDiedError: one is not; the message has the end of its log.
        """
        for name in names:
            if self.running(name) is None:
                raise ProcessDiedError(
                    f"{name} ended unexpectedly. The end of its log, {self.log_path(name)}:\n"
                    f"{self.log_tail(name)}"
                )

    def wait_until(
        self, ready: Callable[[], bool], names: Sequence[str], *, what: str, timeout: float
    ) -> None:
        """Wait for a condition as long as all these processes are running.

        :param ready: the condition.
        :param names: the processes that it depends on.
        :param what: what takes the time, for the message.
        :param timeout: how long to wait, in seconds.
        :raises ProcessDiedError: one of the processes ended.
        :raises StartTimeoutError: the condition did not hold in time.
        """
        deadline = time.monotonic() + timeout
        while not ready():
            self.require_alive(names)
            if time.monotonic() > deadline:
                tails = "\n".join(f"--- {self.log_path(n)}\n{self.log_tail(n)}" for n in names)
                raise StartTimeoutError(
                    f"{what} took longer than {timeout:.0f} s. The ends of the logs:\n{tails}"
                )
            time.sleep(0.1)
        self.require_alive(names)

    def stop(self, names: Sequence[str], *, timeout: float = TERM_SECONDS) -> list[str]:
        """Stop processes and everything in their groups; return the names of those that were running.

        All process groups get SIGTERM at once; those that have not ended in ``timeout`` seconds are killed.
        """
        groups = {name: self._pid(name) for name in names}
        running = waiting = _running_groups({*groups.values()})
        for number, seconds in ((signal.SIGTERM, timeout), (signal.SIGKILL, KILL_SECONDS)):
            for pid in waiting:
                _signal_group(pid, number)
            deadline = time.monotonic() + seconds
            while (waiting := _running_groups(waiting)) and time.monotonic() < deadline:
                time.sleep(0.05)
        for name in names:
            self.forget(name)
        return [name for name, pid in groups.items() if pid in running]

    def log_path(self, name: str) -> Path:
        """Return the file with the output of the process."""
        return self._logs / f"{name}.log"

    def log_tail(self, name: str, lines: int = LOG_TAIL_LINES) -> str:
        """Return the last lines of the output of the process."""
        try:
            text = self.log_path(name).read_text(errors="replace")
        except FileNotFoundError:
            return "(no output)"
        return "\n".join(text.splitlines()[-lines:]) or "(no output)"

    def _pid(self, name: str) -> int | None:
        """Return the recorded pid if its process or its group is ours still."""
        try:
            record = json.loads(self._pid_path(name).read_text())
        except (FileNotFoundError, ValueError):
            return None
        pid = int(record["pid"])
        started = started_at(pid)
        if started is None:
            return pid if _has_open(pid, str(self.log_path(name))) else None
        return pid if started == record.get("started") else None

    def _pid_path(self, name: str) -> Path:
        return self._pids / f"{name}.pid"


def runs(process: psutil.Process) -> bool:
    """Return whether a process still runs; a zombie does not, unless some of its threads do."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and (
            process.status() != psutil.STATUS_ZOMBIE or process.num_threads() > 1
        )
    return False


def require_free_port(port: int, name: str) -> None:
    """Check that nothing listens on the loopback port.

    :raises PortInUseError: something does; the message says what, if the system reveals it.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise PortInUseError(
                f"{name} needs port {port}, but {_owner(port)} listens on it. Stop that program, or choose "
                f"other ports: `make up AIRFLOW_PORT=8081 RUNTIME_PORT=4567`."
            ) from None


def _owner(port: int) -> str:
    for process in psutil.process_iter(["pid", "name"]):
        with contextlib.suppress(psutil.Error):
            if port in _listening_ports(process):
                return f"process {process.pid} ({process.name()})"
    return "another program"


def _listening_ports(process: psutil.Process) -> set[int]:
    connections = process.net_connections(kind="tcp")
    return {c.laddr.port for c in connections if c.status == psutil.CONN_LISTEN}


def _signal_group(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _running_groups(groups: Collection[int | None]) -> set[int]:
    """Return those of the process groups in which a process still runs.

    A zombie stays in its group until its parent reaps it. An orphan's parent is process 1, which may take
    seconds, and in a container without an init process never does it.
    """
    return {group for group, process in _members(groups) if runs(process)}


def _has_open(group: int, path: str) -> bool:
    for _, process in _members([group]):
        with contextlib.suppress(psutil.Error):
            if path in {file.path for file in process.open_files()}:
                return True
    return False


def _members(groups: Collection[int | None]) -> Iterator[tuple[int, psutil.Process]]:
    for pid in psutil.pids():
        with contextlib.suppress(psutil.Error, OSError):
            if (group := os.getpgid(pid)) in groups:
                yield group, psutil.Process(pid)


def started_at(pid: int) -> str | float | None:
    """Return what tells a process from a later one with the same pid, or None if there is none."""
    # psutil's time follows the system's clock when it is set, on Linux.
    with contextlib.suppress(psutil.NoSuchProcess):
        return start_time(pid) or psutil.Process(pid).create_time()
    return None
