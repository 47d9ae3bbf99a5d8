"""Start the command of one job in its own view of the machine: ``python -I -S launcher.py LAUNCH``.

It is run by path and imports very little (no pathlib, no json), so that it starts in about 20 ms.
It is the reaper of everything that the command starts, and ends all of it when the command ends, when it
receives SIGUSR1, or when the local runtime dies. SIGTERM is passed on to the command.
"""

# pathlib alone takes as long to import as everything else here.
# ruff: noqa: PTH103, PTH123, PTH208, PTH211
from __future__ import annotations

import ctypes
import marshal
import os
import resource
import signal
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any

_CLONE_NEWNS, _CLONE_NEWUSER, _CLONE_NEWPID = 0x20000, 0x10000000, 0x20000000
_MS_RDONLY, _MS_REMOUNT, _MS_BIND, _MS_REC, _MS_PRIVATE = 1, 32, 4096, 16384, 1 << 18
_KEPT_MOUNT_FLAGS = 2 | 4 | 8 | 1024 | 2048  # nosuid, nodev, noexec, noatime, nodiratime
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
LAUNCH_FAILED = 125
_LINUX = sys.platform == "linux"
_libc = ctypes.CDLL(None, use_errno=True)


def main(launch: dict[str, Any]) -> int:
    """Run the command to its end and return its exit code; 128 + n if signal n ended it."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    _die_with_parent(signal.SIGUSR1, launch["runtime_pid"])
    if launch["namespaces"]:
        uid, gid = os.getuid(), os.getgid()
        pid_flag = _CLONE_NEWPID if launch["pid_namespace"] else 0
        _check(_libc.unshare(_CLONE_NEWUSER | pid_flag), "unshare")
        _map_ids(uid, gid)
    # Blocked until the handlers know the child, so that a stop in between is not lost.
    signals = {signal.SIGTERM, signal.SIGUSR1}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    launcher = os.getpid()
    child = os.fork()
    if child == 0:
        _in_child(launch, launcher, signals)
    signal.signal(signal.SIGTERM, lambda *_: _kill(child, signal.SIGTERM))
    signal.signal(signal.SIGUSR1, lambda *_: _end_descendants())
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
    code = _reap_until(child)
    _end_descendants()
    return code


def _in_child(launch: dict[str, Any], launcher: int, signals: set[signal.Signals]) -> None:
    """Enter the namespaces and become the command, or its init where there is a PID namespace."""
    try:
        # Seen from inside a PID namespace, the parent has the ID 0.
        _die_with_parent(signal.SIGKILL, 0 if launch["pid_namespace"] else launcher)
        os.setsid()
        if launch["namespaces"]:
            _isolate(launch)
        if launch["pid_namespace"]:
            command = os.fork()
            if command:
                signal.signal(signal.SIGTERM, lambda *_: _kill(command, signal.SIGTERM))
                signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
                os._exit(_reap_until(command))
            os.setsid()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
        _execute(launch)
    except BaseException as error:
        _report(launch, error)


def _execute(launch: dict[str, Any]) -> None:
    memory = launch["memory_bytes"]
    if memory:
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.chdir(launch["working_directory"])
    command, environment = launch["command"], launch["environment"]
    try:
        os.execvpe(command[0], command, environment)  # noqa: S606 - without a shell on purpose
    except OSError as error:
        os.write(2, f"Cannot start {command[0]!r}: {error.strerror}\n".encode())
        os._exit(127)


def _isolate(launch: dict[str, Any]) -> None:
    """Give the process its own root and ``/opt/ml``, hide the data directory and protect the interpreter.

    The root is a folder of the job into which the machine's folders are bound, so that a program may create
    files next to them, as in a container.
    """
    _check(_libc.unshare(_CLONE_NEWNS), "unshare")
    _mount(None, "/", None, _MS_REC | _MS_PRIVATE)
    # Kept open, since the new root is mounted over /opt and hides them.
    root = os.open(launch["root"], os.O_PATH)
    folders = {name: os.open(path, os.O_PATH) for name, path in launch["folders"].items()}
    entries = [*_held("/", {"opt"}), *_held("/opt", folders)]
    _mount(f"/proc/self/fd/{root}", "/opt", None, _MS_BIND)
    os.makedirs("/opt/opt", exist_ok=True)
    for entry, handle in entries:
        _bind_entry(entry, handle, f"/opt{entry.path}")
    for name, handle in folders.items():
        os.makedirs(f"/opt/opt/{name}", exist_ok=True)
        _mount(f"/proc/self/fd/{handle}", f"/opt/opt/{name}", None, _MS_BIND)
    os.chroot("/opt")
    os.chdir("/")
    shown = [(path, os.open(path, os.O_PATH)) for path in launch["shown"]]
    for path in launch["hidden"]:
        _mount("tmpfs", path, "tmpfs", 0)
    for path, handle in shown:
        os.makedirs(path, exist_ok=True)
        _mount(f"/proc/self/fd/{handle}", path, None, _MS_BIND | _MS_REC)
    for path in launch["read_only"]:
        _protect(path)
    if launch["pid_namespace"]:
        _mount("proc", "/proc", "proc", 0)


def _held(folder: str, left_out: Collection[str]) -> list[tuple[os.DirEntry[str], int]]:
    """Return the entries of a folder, each with a handle that stays valid when the folder is mounted over."""
    entries = [entry for entry in os.scandir(folder) if entry.name not in left_out]
    return [(entry, os.open(entry.path, os.O_PATH | os.O_NOFOLLOW)) for entry in entries]


def _bind_entry(entry: os.DirEntry[str], handle: int, path: str) -> None:
    """Bind an entry to a path in the new root, where an earlier command of the job may have left it."""
    if entry.is_symlink():
        if not os.path.lexists(path):
            os.symlink(os.readlink("", dir_fd=handle), path)
        return
    if entry.is_dir():
        os.makedirs(path, exist_ok=True)
    else:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT))
    _mount(f"/proc/self/fd/{handle}", path, None, _MS_BIND | _MS_REC)


def _protect(path: str) -> None:
    """Make a folder read-only; if the kernel refuses, it stays writable."""
    try:
        _mount(path, path, None, _MS_BIND)
        kept = os.statvfs(path).f_flag & _KEPT_MOUNT_FLAGS
        _mount(None, path, None, _MS_REMOUNT | _MS_BIND | _MS_RDONLY | kept)
    except OSError:
        return


def _map_ids(uid: int, gid: int) -> None:
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def _reap_until(child: int) -> int:
    """Reap processes until the child has ended, and return its exit code."""
    while True:
        try:
            pid, status = os.wait()
        except ChildProcessError:
            return 128 + signal.SIGKILL
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def _end_descendants() -> None:
    """Kill every descendant of this process, which inherits those whose parents have died.

    A process may fork before it is killed, so this repeats until none is left.
    """
    while True:
        for pid in _descendants():
            _kill(pid, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.002)


def _descendants() -> list[int]:
    if not _LINUX:
        return []
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", errors="replace") as file:
                    parent = int(file.read().rpartition(")")[2].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(name))
    found, unseen = [], [os.getpid()]
    while unseen:
        below = children.get(unseen.pop(), [])
        found += below
        unseen += below
    return found


def _die_with_parent(signal_number: signal.Signals, parent: int) -> None:
    _prctl(_PR_SET_PDEATHSIG, signal_number)
    if os.getppid() != parent:
        os._exit(128 + signal.SIGKILL)


def _prctl(option: int, value: int) -> None:
    if _LINUX:
        _libc.prctl(option, value, 0, 0, 0)


def _mount(source: str | None, target: str, kind: str | None, flags: int) -> None:
    arguments = [None if text is None else os.fsencode(text) for text in (source, target, kind)]
    _check(_libc.mount(*arguments, ctypes.c_ulong(flags), None), f"mount {target}")


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _kill(pid: int, signal_number: signal.Signals) -> None:
    try:
        os.kill(pid, signal_number)
    except ProcessLookupError:
        return


def _report(launch: dict[str, Any], error: BaseException) -> None:
    """Write the reason where the local runtime expects it, and exit."""
    os.write(launch["error_handle"], f"{type(error).__name__}: {error}".encode())
    os._exit(LAUNCH_FAILED)


if __name__ == "__main__":
    with open(sys.argv[1], "rb") as launch_file:
        document = marshal.load(launch_file)  # noqa: S302 - written by the local runtime
    # Opened now, because its folder may be hidden later.
    document["error_handle"] = os.open(document["error_file"], os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        sys.exit(main(document))
    except OSError as failure:
        _report(document, failure)
