"""Start and stop the stack: the local runtime and Airflow's four processes."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import httpx

from sagemaker_pipelines.airflow_client import AirflowClient
from stack.airflow_env import airflow_environment
from stack.bootstrap import bootstrap
from stack.definitions import DEFINITIONS, allowed_arguments
from stack.exceptions import ProcessDiedError, StackError
from stack.processes import ProcessSpec, ProcessTable, require_free_port
from stack.settings import ROOT, StackSettings

RUNTIME = "local-runtime"
AIRFLOW_PROCESSES = ("airflow-api-server", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer")
ALL_PROCESSES = (RUNTIME, *AIRFLOW_PROCESSES)
# Only a process that neither answers nor dies takes as long; another one is reported when it dies.
START_SECONDS = 600.0
FAILED_START_SECONDS = 3.0

Report = Callable[[str], None]


class Stack:
    """One stack on this machine.

    :param settings: its paths, ports and names.
    :param extra_env: more environment variables for Airflow's processes.
    :param report: called with a line for each stage of the start.
    """

    def __init__(
        self,
        settings: StackSettings,
        *,
        extra_env: Mapping[str, str] | None = None,
        report: Report = lambda _: None,
    ) -> None:
        self.settings = settings
        self.processes = ProcessTable(settings.state_dir)
        self.api = AirflowClient(settings.airflow_url)
        self._extra_env = extra_env
        self._report = report

    @classmethod
    def of(cls, settings: StackSettings, *, report: Report = lambda _: None) -> Stack:
        """Return the stack that runs in this state folder, or else the one that the settings describe."""
        stack = cls(settings, report=report)
        recorded = stack._recorded_ports()
        if recorded and any(stack.processes.running(name) for name in ALL_PROCESSES):
            airflow_port, runtime_port = recorded
            return cls(replace(settings, airflow_port=airflow_port, runtime_port=runtime_port), report=report)
        return stack

    def is_up(self) -> bool:
        """Return whether every process runs and answers."""
        return all(self.processes.running(name) for name in ALL_PROCESSES) and self._airflow_healthy(None)

    def up(self) -> None:
        """Start the processes that do not run, and wait until all are healthy and the data are uploaded.

        :raises ProcessError: a port is taken, or a process died or did not become healthy.
        """
        with self._lock():
            if self.is_up():
                return
            # If only a part of the stack runs, it is restarted: it may use the old address of another part.
            self.processes.stop(ALL_PROCESSES)
            require_free_port(self.settings.runtime_port, RUNTIME)
            require_free_port(self.settings.airflow_port, AIRFLOW_PROCESSES[0])
            self._record_ports()
            try:
                self._start()
            except BaseException:
                # A process that is just starting may not react to SIGTERM until it has started.
                self.processes.stop(ALL_PROCESSES, timeout=FAILED_START_SECONDS)
                raise

    def down(self) -> list[str]:
        """Stop every process of the stack, and return the names of those that were running."""
        with self._lock():
            # Airflow first, because its tasks would log that the runtime refuses connections.
            return [*self.processes.stop(AIRFLOW_PROCESSES), *self.processes.stop([RUNTIME])]

    def _start(self) -> None:
        self._report("starting the local runtime and Airflow")
        began = datetime.now(UTC)
        env = airflow_environment(self.settings, extra=self._extra_env)
        with ThreadPoolExecutor(1) as pool:
            migrated = pool.submit(self._migrate, env)
            self._start_runtime()
            bootstrap(self.settings)
            self._report("data uploaded")
            self._await_migration(migrated)
        for name in AIRFLOW_PROCESSES:
            self.processes.start(self._airflow_spec(name, env))
        self.processes.wait_until(
            lambda: self._task_api_answers() and self._airflow_healthy(began),
            ALL_PROCESSES,
            what="Starting Airflow",
            timeout=START_SECONDS,
        )
        self._report(f"Airflow is up: {self.settings.airflow_url}")

    def _start_runtime(self) -> None:
        settings = self.settings
        settings.runtime_data_dir.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "sagemaker_local_runtime", "--port", str(settings.runtime_port)]
        self.processes.start(
            ProcessSpec(
                name=RUNTIME,
                command=[
                    *command,
                    *("--data-dir", str(settings.runtime_data_dir)),
                    *("--max-concurrent-executions", str(settings.max_concurrent_executions)),
                    *(f"--allow-argument={name}" for name in allowed_arguments(DEFINITIONS)),
                ],
                env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "plugins")])},
                port=settings.runtime_port,
            )
        )
        self.processes.wait_until(
            self._runtime_healthy, [RUNTIME], what="Starting the local runtime", timeout=START_SECONDS
        )

    def _migrate(self, env: Mapping[str, str]) -> None:
        """Create Airflow's database, or migrate it to the schema of this Airflow, unless it is up to date."""
        stamp = self.settings.airflow_home / "database-version"
        database = self.settings.airflow_home / "airflow.db"
        if database.exists() and stamp.exists() and stamp.read_text() == version("apache-airflow"):
            return
        done = subprocess.run(
            [sys.executable, "-m", "airflow", "db", "migrate"],
            env=dict(env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
            check=False,
        )
        if done.returncode:
            raise StackError(f"`airflow db migrate` failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        stamp.write_text(version("apache-airflow"))

    def _await_migration(self, migrated: Future[None]) -> None:
        try:
            migrated.result(timeout=START_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise ProcessDiedError(
                f"`airflow db migrate` did not end within {START_SECONDS:.0f} s"
            ) from error

    def _airflow_spec(self, name: str, env: Mapping[str, str]) -> ProcessSpec:
        command = [sys.executable, "-m", "stack.airflow_process", name.removeprefix("airflow-")]
        if name in ("airflow-scheduler", "airflow-triggerer"):
            command.append("--skip-serve-logs")  # the API server reads the same files
        port = self.settings.airflow_port if name == "airflow-api-server" else None
        return ProcessSpec(name=name, command=command, env=env, port=port)

    def _runtime_healthy(self) -> bool:
        """Return whether the process that answers is the one that this stack started."""
        process = self.processes.running(RUNTIME)
        with contextlib.suppress(httpx.HTTPError, ValueError):
            url = f"{self.settings.runtime_url}/_local_runtime/health"
            answer = httpx.get(url, timeout=5, trust_env=False)  # loopback never goes through a proxy
            return process is not None and answer.status_code == 200 and answer.json()["pid"] == process.pid
        return False

    def _task_api_answers(self) -> bool:
        """Return whether the API of the tasks answers; Airflow builds it, for seconds, at its first request.

        So it is built while the other processes start, and not while the first task waits for it.
        """
        with contextlib.suppress(httpx.HTTPError):
            url = f"{self.settings.airflow_url}/execution/health"
            return httpx.get(url, timeout=START_SECONDS, trust_env=False).status_code == 200
        return False

    def _airflow_healthy(self, since: datetime | None) -> bool:
        """Return whether our API server answers, and the other three components have a recent heartbeat."""
        if not self.processes.listens("airflow-api-server", self.settings.airflow_port):
            return False
        health = self.api.health()
        if health is None:
            return False
        parts = {name: health.get(name) or {} for name in ("scheduler", "triggerer", "dag_processor")}
        if any(part.get("status") != "healthy" for part in parts.values()):
            return False
        # The heartbeat of a stack that was stopped seconds ago still counts as healthy.
        beats = [part[f"latest_{name}_heartbeat"] for name, part in parts.items()]
        return since is None or all(datetime.fromisoformat(beat) >= since for beat in beats)

    @property
    def _ports_path(self) -> Path:
        return self.settings.state_dir / "stack.json"

    def _recorded_ports(self) -> tuple[int, int] | None:
        with contextlib.suppress(FileNotFoundError, ValueError):
            recorded = json.loads(self._ports_path.read_text())
            return int(recorded["airflow_port"]), int(recorded["runtime_port"])
        return None

    def _record_ports(self) -> None:
        ports = {"airflow_port": self.settings.airflow_port, "runtime_port": self.settings.runtime_port}
        self._ports_path.write_text(json.dumps(ports))

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        """Let one command at a time change the stack."""
        try:
            self.settings.state_dir.mkdir(parents=True, exist_ok=True)
            lock = (self.settings.state_dir / "lock").open("w")
        except OSError as error:
            raise StackError(
                f"The folder of the stack, {self.settings.state_dir}, cannot be written ({error.strerror}). "
                "Name another one with STACK_STATE_DIR."
            ) from error
        with lock as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StackError(
                    f"Another command is starting or stopping the stack in {self.settings.state_dir}. "
                    "Wait for it, then try again."
                ) from None
            yield
