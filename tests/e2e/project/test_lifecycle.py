"""Starting and stopping the whole stack: nothing hangs, and every refusal says why."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from sagemaker_local_runtime.images.ports import free_port
from stack.exceptions import PortInUseError, ProcessDiedError
from stack.lifecycle import ALL_PROCESSES, RUNTIME, Stack
from stack.settings import ROOT, StackSettings
from tests.e2e.project.conftest import Airflow
from tests.waiting import GENEROUS_SECONDS, until

pytestmark = pytest.mark.thorough


@pytest.fixture
def settings(tmp_path: Path) -> StackSettings:
    return StackSettings(state_dir=tmp_path, airflow_port=free_port(), runtime_port=free_port())


def test_up_does_nothing_for_a_stack_that_is_up(airflow: Airflow) -> None:
    until(airflow.stack.is_up, "the stack to be healthy")
    processes = airflow.stack.processes
    before = {name: process.pid for name in ALL_PROCESSES if (process := processes.running(name))}
    Stack(airflow.settings).up()
    after = {name: process.pid for name in ALL_PROCESSES if (process := processes.running(name))}
    assert before == after
    assert len(before) == len(ALL_PROCESSES)


def test_a_second_command_finds_the_ports_that_the_stack_was_started_with(airflow: Airflow) -> None:
    elsewhere = replace(airflow.settings, airflow_port=1, runtime_port=2)
    assert Stack.of(elsewhere).settings == airflow.settings


@pytest.mark.parametrize("taken", ["airflow_port", "runtime_port"])
def test_a_busy_port_is_refused_before_anything_starts(settings: StackSettings, taken: str) -> None:
    port = getattr(settings, taken)
    with socket.create_server(("127.0.0.1", port)), pytest.raises(PortInUseError, match=str(port)):
        Stack(settings).up()
    assert not any(Stack(settings).processes.running(name) for name in ALL_PROCESSES)


def test_a_process_that_dies_during_the_start_ends_it_with_its_log(
    airflow: Airflow, settings: StackSettings
) -> None:
    copy_database(airflow.settings, settings)
    # An executor that does not exist ends the scheduler; everything else would start.
    stack = Stack(settings, extra_env={"AIRFLOW__CORE__EXECUTOR": "no.such.Executor"})
    with pytest.raises(ProcessDiedError, match=r"ended unexpectedly(.|\n)*no\.such"):
        stack.up()
    until(lambda: not processes_of(settings), "the end of what was killed")


def test_a_stack_that_is_stopped_ends_by_itself(settings: StackSettings) -> None:
    """No process is killed: each one has said in Airflow's database, or in its log, that it has ended."""
    stack = Stack(settings)
    stack.up()
    assert len(processes_of(settings)) >= len(ALL_PROCESSES)
    assert set(stack.down()) == set(ALL_PROCESSES)
    assert processes_of(settings) == []
    with contextlib.closing(sqlite3.connect(settings.airflow_home / "airflow.db")) as database:
        jobs = dict(database.execute("select job_type, state from job"))
    assert jobs == dict.fromkeys(["SchedulerJob", "DagProcessorJob", "TriggererJob"], "success")
    assert "Finished server process" in stack.processes.log_path("airflow-api-server").read_text()


def test_a_demo_that_is_told_to_stop_leaves_no_process_behind(
    airflow: Airflow, settings: StackSettings
) -> None:
    copy_database(airflow.settings, settings)
    processes = Stack(settings).processes
    demo = subprocess.Popen([sys.executable, "-m", "stack", "demo"], cwd=ROOT, env=environment(settings))

    def scheduler_runs() -> bool:
        assert demo.poll() is None
        return processes.running("airflow-scheduler") is not None

    try:
        until(scheduler_runs, "the scheduler")
        demo.terminate()
        assert demo.wait(timeout=GENEROUS_SECONDS) == 128 + signal.SIGTERM
        until(lambda: not processes_of(settings), "the end of what was killed")
    finally:
        demo.kill()
        demo.wait()
        processes.stop(ALL_PROCESSES)


def processes_of(settings: StackSettings) -> list[psutil.Process]:
    """Return what runs of a stack, whatever its own records say."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            home = process.environ().get("AIRFLOW_HOME")
            if home == str(settings.airflow_home) or str(settings.runtime_data_dir) in process.cmdline():
                found.append(process)
    return found


def environment(settings: StackSettings) -> dict[str, str]:
    """Return the environment that leads ``make`` commands to a stack."""
    return os.environ | {
        "STACK_STATE_DIR": str(settings.state_dir),
        "AIRFLOW_PORT": str(settings.airflow_port),
        "RUNTIME_PORT": str(settings.runtime_port),
    }


def copy_database(source: StackSettings, target: StackSettings) -> None:
    """Spare a new stack the creation of Airflow's database."""
    target.airflow_home.mkdir(parents=True)
    names = ("airflow.db", "database-version")
    with (
        contextlib.closing(sqlite3.connect(source.airflow_home / names[0])) as old,
        contextlib.closing(sqlite3.connect(target.airflow_home / names[0])) as new,
    ):
        old.backup(new)
    (target.airflow_home / names[1]).write_text((source.airflow_home / names[1]).read_text())


def test_a_killed_runtime_is_reported_by_the_next_check_and_down_still_works(settings: StackSettings) -> None:
    stack = Stack(settings)
    stack._start_runtime()
    process = stack.processes.running(RUNTIME)
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    process.wait(timeout=GENEROUS_SECONDS)
    with pytest.raises(ProcessDiedError, match="local-runtime ended unexpectedly"):
        stack.processes.require_alive([RUNTIME])
    assert stack.down() == []


def test_the_command_line_says_what_is_wrong_without_a_traceback(settings: StackSettings) -> None:
    with socket.create_server(("127.0.0.1", settings.airflow_port)):
        done = subprocess.run(
            [sys.executable, "-m", "stack", "demo"],
            cwd=ROOT,
            env=environment(settings),
            capture_output=True,
            text=True,
            timeout=GENEROUS_SECONDS,
        )
    assert done.returncode == 1
    assert f"needs port {settings.airflow_port}" in done.stderr
    assert "Traceback" not in done.stderr
