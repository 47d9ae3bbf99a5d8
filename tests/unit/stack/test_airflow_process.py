"""How Airflow's processes of the stack end."""

from __future__ import annotations

import subprocess
import sys

from tests.waiting import GENEROUS_SECONDS

PROGRAM = """
import os, signal, sys, time, weakref
from stack.airflow_process import exit_again

class Thing:
    pass

def end(*_):
    sys.exit(7)

signal.signal(signal.SIGTERM, end)
sys.unraisablehook = exit_again
thing = Thing()
reference = weakref.ref(thing, lambda _: os.kill(os.getpid(), signal.SIGTERM))
del thing
time.sleep(600)
"""


def test_a_signal_that_comes_in_the_callback_of_a_weak_reference_is_not_lost() -> None:
    """Seen of Airflow's scheduler, which logged that it exits, and went on."""
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=GENEROUS_SECONDS, check=False
    )
    assert "Exception ignored" in ended.stderr
    assert ended.returncode == 7
