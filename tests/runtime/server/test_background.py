"""``sagemaker-pipelines local up``, ``env`` and ``down``: a local runtime that outlives its command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from sagemaker_local_runtime import cli_background
from sagemaker_local_runtime.data_lock import DataLock, Server, announced, server_of
from sagemaker_local_runtime.exceptions import LocalRuntimeError, SettingsError
from tests.runtime.server.test_cli import command
from tests.waiting import GENEROUS_SECONDS

SERVER = Server(os.getpid(), "http://127.0.0.1:1234")


def test_other_processes_learn_where_the_server_answers_until_it_ends(tmp_path: Path) -> None:
    assert server_of(tmp_path) is None
    lock = DataLock(tmp_path)
    with pytest.raises(SettingsError, match=f"server uses {tmp_path}, but has not said within 0 s"):
        server_of(tmp_path, start_seconds=0)
    announcement = threading.Timer(0.1, lock.announce, [SERVER.endpoint_url])
    announcement.start()
    assert server_of(tmp_path) == SERVER
    announcement.join()
    lock.release()
    lock = DataLock(tmp_path)
    lock.announce(SERVER.endpoint_url)
    assert server_of(tmp_path) == announced(tmp_path) == SERVER
    with pytest.raises(SettingsError, match="used by another local runtime"):
        DataLock(tmp_path)
    assert server_of(tmp_path) == SERVER
    lock.release()
    assert server_of(tmp_path) is None


def test_a_new_server_does_not_show_the_address_of_the_last_one(tmp_path: Path) -> None:
    last = DataLock(tmp_path)
    last.announce(SERVER.endpoint_url)
    last.release()
    lock = DataLock(tmp_path)
    assert announced(tmp_path) is None
    lock.release()


def test_asking_for_the_server_creates_no_folder(tmp_path: Path) -> None:
    assert server_of(tmp_path / "absent") is None
    assert not (tmp_path / "absent").exists()


# Announces itself late, and ends only when it is killed.
STUBBORN = """
import signal, sys, time
from pathlib import Path
from sagemaker_local_runtime.data_lock import DataLock
signal.signal(signal.SIGTERM, signal.SIG_IGN)
lock = DataLock(Path(sys.argv[1]))
print("locked", flush=True)
sys.stdin.readline()
lock.announce("http://127.0.0.1:1234")
time.sleep(300)
"""


def test_a_server_that_starts_is_waited_for_and_one_that_does_not_end_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli_background, "_STOP_SECONDS", 0.3)
    command = [sys.executable, "-c", STUBBORN, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        announcement = threading.Timer(0.2, lambda: process.communicate("go\n"))
        announcement.start()
        try:
            with pytest.raises(LocalRuntimeError, match=f"process {process.pid}, has not ended within 0 s"):
                cli_background.down(tmp_path)
        finally:
            process.send_signal(signal.SIGKILL)
            announcement.join()


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[str]:
    yield str(tmp_path / "data")
    command("down", "--data-dir", str(tmp_path / "data"))


@pytest.mark.thorough
def test_a_runtime_in_the_background_is_found_and_stopped_by_its_data_directory(data_dir: str) -> None:
    started = command("up", "--data-dir", data_dir, "--port", "0", "--region", "eu-west-1")
    assert started.returncode == 0, started.stderr
    server = server_of(Path(data_dir))
    assert server is not None
    with urlopen(f"{server.endpoint_url}/_local_runtime/health", timeout=GENEROUS_SECONDS) as answer:
        assert json.load(answer)["region"] == "eu-west-1"
    assert command("up", "--data-dir", data_dir).stdout == started.stdout
    refused = command("up", "--data-dir", data_dir, "--port", "1")
    assert (refused.returncode, "--port 1 has no effect" in refused.stderr) == (2, True)
    assert f"AWS_ENDPOINT_URL={server.endpoint_url}\n" in command("env", "--data-dir", data_dir).stdout
    busy = server.endpoint_url.rpartition(":")[2]
    other = command("up", "--data-dir", f"{data_dir}-2", "--port", busy)
    assert (other.returncode, "Address already in use" in other.stderr) == (2, True)
    assert "Stopped" in command("down", "--data-dir", data_dir).stdout
    assert server_of(Path(data_dir)) is None
    assert "No local runtime uses" in command("down", "--data-dir", data_dir).stdout
    command("up", "--data-dir", data_dir, "--port", "0")
    log = (Path(data_dir) / "server.log").read_text()
    assert log.count("Local runtime at") == 2, "the log of the server before is kept"


@pytest.mark.thorough
def test_a_killed_runtime_is_not_taken_for_a_running_one(data_dir: str) -> None:
    command("up", "--data-dir", data_dir, "--port", "0")
    server = server_of(Path(data_dir))
    assert server is not None
    subprocess.run([sys.executable, "-c", f"import os; os.kill({server.pid}, 9)"], check=True)
    again = command("up", "--data-dir", data_dir, "--port", "0")
    assert again.returncode == 0, again.stderr
    assert server_of(Path(data_dir)) not in (None, server)
