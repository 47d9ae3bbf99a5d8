from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.processes import processes_with
from tests.runtime.jobs.conftest import (
    ROOT,
    JobRuntime,
    StartRuntime,
    driver,
    output,
    processing_request,
    run_processing,
)
from tests.waiting import GENEROUS_SECONDS, until

# A grandchild in a session of its own, an orphan, and the job itself; nothing ends by itself.
TREE = """
    import os, subprocess, time
    subprocess.Popen(["sh", "-c", "setsid sleep {mark} & exec sleep {mark}"])
    subprocess.Popen(["setsid", "sleep", "{mark}"], start_new_session=True)
    while not os.path.exists("{gate}"):
        time.sleep(0.05)
"""


@pytest.mark.parametrize("status", ["Stopped", "Completed"])
def test_no_process_of_a_job_outlives_it(either_isolation: JobRuntime, tmp_path: Path, status: str) -> None:
    """Stopped or ended by itself: its whole tree ends, processes in their own sessions too."""
    mark = f"{3600 + os.getpid()}.{len(status)}{time.monotonic_ns() % 10**6}"
    gate, runtime = tmp_path / "gate", either_isolation
    script = TREE.format(mark=mark, gate=gate)
    runtime.jobs.create("processing", processing_request(runtime, "tree", script))
    until(lambda: len(processes_with(f"sleep {mark}")) >= 3)
    if status == "Stopped":
        runtime.jobs.stop("processing", "tree")
    else:
        gate.touch()
    assert runtime.jobs.wait("processing", "tree")["ProcessingJobStatus"] == status
    assert processes_with(f"sleep {mark}") == []


@pytest.mark.thorough
def test_a_job_that_ignores_sigterm_is_killed(runtime: JobRuntime) -> None:
    script = """
        import signal, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("deaf")
        time.sleep(3600)
    """
    runtime.jobs.create("processing", processing_request(runtime, "deaf", script))
    until(lambda: "deaf" in output(runtime, "deaf"))
    stop = threading.Event()
    stop.set()
    assert runtime.jobs.wait("processing", "deaf", stop)["ProcessingJobStatus"] == "Stopped"


def test_a_job_gets_sigterm_first(runtime: JobRuntime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sagemaker_local_runtime.jobs.process._GRACE_SECONDS", GENEROUS_SECONDS)
    script = """
        import signal, sys, time
        def save(*_):
            print("saved")
            sys.exit(0)
        signal.signal(signal.SIGTERM, save)
        print("ready")
        time.sleep(3600)
    """
    runtime.jobs.create("processing", processing_request(runtime, "polite", script))
    until(lambda: "ready" in output(runtime, "polite"))
    runtime.jobs.stop("processing", "polite")
    assert runtime.jobs.wait("processing", "polite")["ProcessingJobStatus"] == "Stopped"
    assert "saved" in output(runtime, "polite")


def test_the_memory_limit_fails_a_job_as_aws_does(start_runtime: StartRuntime) -> None:
    runtime = start_runtime(job_memory_mb=300)
    job = run_processing(runtime, "memory", "x = bytearray(400 << 20)")
    assert job["ProcessingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("ClientError: Please use an instance type with more memory")


def test_the_longest_runtime_stops_a_job(either_isolation: JobRuntime) -> None:
    condition = {"MaxRuntimeInSeconds": 1}
    job = run_processing(
        either_isolation, "slow", "import time; time.sleep(3600)", StoppingCondition=condition
    )
    assert job["ProcessingJobStatus"] == "Stopped"
    assert job["ExitMessage"] == "The job was stopped: it exceeded MaxRuntimeInSeconds (1)."


def test_the_runtimes_own_limit_holds_without_a_condition(start_runtime: StartRuntime) -> None:
    runtime = start_runtime(job_max_runtime_seconds=1)
    job = run_processing(runtime, "limited", "import time; time.sleep(3600)")
    assert job["ProcessingJobStatus"] == "Stopped"


def test_jobs_beyond_the_limit_wait_and_can_be_stopped(start_runtime: StartRuntime) -> None:
    runtime = start_runtime(max_concurrent_jobs=1)
    runtime.jobs.create("processing", processing_request(runtime, "first", "import time; time.sleep(3600)"))
    until(lambda: "ProcessingStartTime" in runtime.jobs.describe("processing", "first"))
    runtime.jobs.create("processing", processing_request(runtime, "second", "print('ran')"))
    runtime.jobs.stop("processing", "second")
    second = runtime.jobs.wait("processing", "second")
    assert (second["ProcessingJobStatus"], "ProcessingStartTime" in second) == ("Stopped", False)
    runtime.jobs.stop("processing", "first")
    assert runtime.jobs.wait("processing", "first")["ProcessingJobStatus"] == "Stopped"


@pytest.mark.thorough
@pytest.mark.parametrize("isolation", ["namespace", "rewrite"])
def test_kill_9_of_the_runtime_leaves_no_process_and_its_job_is_failed(
    start_runtime: StartRuntime, isolation: str
) -> None:
    runtime = start_runtime()
    mark = f"{7200 + os.getpid()}.{time.monotonic_ns() % 10**6}"
    body = f"""
        runtime.jobs.create("processing", processing_request(
            runtime, "orphan", "import subprocess; subprocess.call(['setsid', 'sleep', '{mark}'])"))
        time.sleep(3600)
    """
    process = subprocess.Popen([sys.executable, "-c", driver(runtime, body, isolation)], cwd=ROOT)
    try:
        until(lambda: processes_with(f"sleep {mark}"))
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    until(lambda: processes_with(f"sleep {mark}") == [])
    runtime.jobs.recover()
    job = runtime.jobs.describe("processing", "orphan")
    assert job["ProcessingJobStatus"] == "Failed"
    assert job["FailureReason"] == "InternalServerError: The local runtime ended while the job was running."
    log = runtime.jobs.log_path("processing", "orphan")
    assert [path.name for path in log.parent.iterdir()] == ["output.log"]
