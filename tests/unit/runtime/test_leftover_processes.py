from __future__ import annotations

import os
import signal
import sys
from unittest.mock import Mock

import psutil
import pytest

from sagemaker_local_runtime.jobs.processes import end_launcher, start_time
from tests.processes import neglected_process, runs
from tests.waiting import until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def test_a_launcher_that_nobody_collects_is_ended_by_one_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its parent was the runtime that died, and now it is process 1, which may never collect it."""
    kill = Mock(wraps=os.kill)
    monkeypatch.setattr(os, "kill", kill)
    with neglected_process() as process:
        end_launcher(process.pid, start_time(process.pid))
        assert process.status() == psutil.STATUS_ZOMBIE
        assert start_time(process.pid) is None
        kill.assert_called_once_with(process.pid, signal.SIGUSR1)


def test_a_process_that_is_not_the_recorded_one_is_left_alone() -> None:
    with neglected_process() as process:
        end_launcher(process.pid, "1")
        end_launcher(process.pid, None)
        assert runs(process.pid)
        process.kill()
        until(lambda: not runs(process.pid), "its end")
