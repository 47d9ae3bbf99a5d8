from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import Mock

import psutil
import pytest

from sagemaker_local_runtime.images.ports import free_port
from stack.exceptions import PortInUseError, ProcessDiedError, StartTimeoutError
from stack.processes import ProcessSpec, ProcessTable, require_free_port, runs, started_at
from tests.processes import neglected_process
from tests.waiting import GENEROUS_SECONDS, until

SLEEP = "import time; print('awake', flush=True); time.sleep(3600)"
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEP}"
LISTEN = (
    "import socket, sys, time; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); time.sleep(3600)"
)


def spec(name: str, program: str, *arguments: str, port: int | None = None) -> ProcessSpec:
    return ProcessSpec(
        name=name, command=[sys.executable, "-c", program, *arguments], env=os.environ, port=port
    )


@pytest.fixture
def table(tmp_path: Path) -> Iterator[ProcessTable]:
    table = ProcessTable(tmp_path)
    yield table
    table.stop(["one", "two"], timeout=0.2)


def until_logged(table: ProcessTable, name: str, text: str) -> None:
    table.wait_until(lambda: text in table.log_tail(name), [name], what=text, timeout=GENEROUS_SECONDS)


def test_a_started_process_runs_in_its_own_session_and_is_found_by_another_table(
    table: ProcessTable, tmp_path: Path
) -> None:
    pid = table.start(spec("one", SLEEP))
    found = ProcessTable(tmp_path).running("one")
    assert found is not None
    assert found.pid == pid
    assert os.getsid(pid) == pid


def test_stop_ends_the_process_and_its_children(table: ProcessTable) -> None:
    family = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"
    pid = table.start(spec("one", family, SLEEP))
    until_logged(table, "one", "awake")
    members = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    assert table.stop(["one"]) == ["one"]
    assert len(members) == 2
    assert not [*filter(runs, members)]


def test_a_process_that_ignores_term_is_killed_in_bounded_time(table: ProcessTable) -> None:
    process = psutil.Process(table.start(spec("one", DEAF)))
    until_logged(table, "one", "awake")
    table.stop(["one"], timeout=0.5)
    assert not runs(process)


def test_stop_does_not_wait_for_what_nobody_reaps(
    table: ProcessTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Process 1 may reap it seconds later, and in a container without an init process never does."""
    killpg = Mock(wraps=os.killpg)
    monkeypatch.setattr(os, "killpg", killpg)
    with neglected_process() as process:
        record = {"pid": process.pid, "started": started_at(process.pid)}
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "one.pid").write_text(json.dumps(record))
        assert table.stop(["one"], timeout=GENEROUS_SECONDS) == ["one"]
        assert process.status() == psutil.STATUS_ZOMBIE
    killpg.assert_called_once_with(process.pid, signal.SIGTERM)


def test_stop_ends_what_has_outlived_the_first_process_of_its_group(table: ProcessTable) -> None:
    """As the workers and the tasks of a scheduler that was killed for lack of memory."""
    family = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"
    pid = table.start(spec("one", family, SLEEP))
    until_logged(table, "one", "awake")
    (child,) = psutil.Process(pid).children()
    os.kill(pid, signal.SIGKILL)
    until(lambda: table.running("one") is None, "the end of the first process")
    assert table.stop(["one"]) == ["one"]
    assert not runs(child)


def test_a_group_of_others_that_has_outlived_a_process_with_the_pid_is_never_signalled(
    table: ProcessTable, tmp_path: Path
) -> None:
    """As after a reboot, when a daemon has the number."""
    daemon = ["sh", "-c", "sleep 3600 >/dev/null & echo $!"]
    with subprocess.Popen(daemon, start_new_session=True, stdout=subprocess.PIPE) as first:
        assert first.stdout is not None
        child = psutil.Process(int(first.stdout.readline()))
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "one.pid").write_text(json.dumps({"pid": first.pid, "started": "1"}))
    try:
        assert os.getpgid(child.pid) == first.pid
        assert table.stop(["one"]) == []
        assert runs(child)
    finally:
        child.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="a process is known by its time since the boot")
def test_a_process_is_known_after_the_clock_was_set(
    table: ProcessTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    table.start(spec("one", SLEEP))
    later = psutil.boot_time() + 3600
    monkeypatch.setattr("psutil._pslinux.boot_time", lambda: later)
    assert table.running("one") is not None


def test_a_pid_that_belongs_to_another_process_now_is_never_signalled(
    table: ProcessTable, tmp_path: Path
) -> None:
    pid = table.start(spec("one", SLEEP))
    record = tmp_path / "run" / "one.pid"
    own = record.read_text()
    record.write_text(f'{{"pid": {pid}, "started": "1"}}')
    assert table.running("one") is None
    assert table.stop(["one"]) == []
    assert runs(psutil.Process(pid))
    record.write_text(own)


def test_a_dead_process_is_an_error_with_the_end_of_its_log(table: ProcessTable) -> None:
    table.start(spec("one", "import sys; print('cause of death'); sys.exit(3)"))
    with pytest.raises(ProcessDiedError, match=r"one ended unexpectedly(.|\n)*cause of death"):
        table.wait_until(lambda: False, ["one"], what="waiting", timeout=GENEROUS_SECONDS)


def test_a_process_that_dies_while_another_is_waited_for_is_noticed(table: ProcessTable) -> None:
    table.start(spec("one", SLEEP))
    victim = table.start(spec("two", SLEEP))
    until_logged(table, "two", "awake")
    os.kill(victim, signal.SIGKILL)
    with pytest.raises(ProcessDiedError, match="two ended unexpectedly"):
        table.wait_until(lambda: False, ["one", "two"], what="waiting", timeout=GENEROUS_SECONDS)


def test_a_condition_that_never_holds_times_out(table: ProcessTable) -> None:
    table.start(spec("one", SLEEP))
    with pytest.raises(StartTimeoutError, match="Pigs flying took longer than 0 s"):
        table.wait_until(lambda: False, ["one"], what="Pigs flying", timeout=0.3)


def test_a_busy_port_is_refused_and_the_message_names_its_owner(table: ProcessTable) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortInUseError, match=rf"one needs port {port}, but process {os.getpid()} "):
            table.start(spec("one", SLEEP, port=port))
    assert table.running("one") is None


def test_only_a_listener_of_our_own_process_counts(table: ProcessTable) -> None:
    port = free_port()
    require_free_port(port, "nothing")
    table.start(spec("one", LISTEN, str(port), port=port))
    table.start(spec("two", SLEEP))
    table.wait_until(lambda: table.listens("one", port), ["one"], what="listening", timeout=GENEROUS_SECONDS)
    assert not table.listens("two", port)
