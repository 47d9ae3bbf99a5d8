from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from unittest.mock import Mock

import psutil
import pytest

from sagemaker_local_runtime import processes
from sagemaker_local_runtime.processes import end_launcher, end_processes_below, is_running, start_time
from stack.processes import runs
from tests.processes import neglected_process
from tests.waiting import GENEROUS_SECONDS

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def test_a_launcher_that_nobody_reaps_is_ended_by_one_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    """The runtime that was its parent has died, so its parent is now process 1, which may never reap it."""
    kill = Mock(wraps=os.kill)
    monkeypatch.setattr(os, "kill", kill)
    monkeypatch.setattr(processes, "_PATIENCE_SECONDS", GENEROUS_SECONDS)
    with neglected_process() as process:
        started = start_time(process.pid)
        end_launcher(process.pid, started)
        assert process.status() == psutil.STATUS_ZOMBIE
        assert not is_running(process.pid, started)
        kill.assert_called_once_with(process.pid, signal.SIGUSR1)


def test_a_process_that_is_not_the_recorded_one_is_left_alone() -> None:
    with neglected_process() as process:
        end_launcher(process.pid, "1")
        end_launcher(process.pid, None)
        assert runs(process)


def test_what_runs_below_a_folder_is_killed_and_has_ended_then(tmp_path: Path) -> None:
    inside, beside = tmp_path / "jobs", tmp_path / "jobs-2"
    with neglected_process(TMPDIR=f"{inside}/a") as one, neglected_process(TMPDIR=f"{beside}/a") as other:
        end_processes_below(inside)
        assert not runs(one)
        assert runs(other)
