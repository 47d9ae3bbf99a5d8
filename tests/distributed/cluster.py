"""The services of docker-compose.yaml as ordinary processes on one machine.

Commands, environments and health checks are the file's own. What containers give and processes do not is
replaced in them as text: host names by loopback ports, and folders by temporary ones.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from base64 import urlsafe_b64encode
from pathlib import Path

import psutil
import requests

from stack.airflow_api import AirflowApi
from stack.compose import Service, services, variables
from stack.processes import ProcessSpec, ProcessTable, free_port
from stack.settings import ROOT

# Shorter than a cluster would have them. But three tries must outlast the absence of the API server, without
# which every task fails at its start: hence the delay of the retries.
QUICK = {
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "45",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "15",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "20",
    "AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY": "45",
    "AIRFLOW__CORE__HOSTNAME_CALLABLE": "cluster_hosts.name",
    "AIRFLOW__CORE__MAX_ACTIVE_RUNS_PER_DAG": "32",
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
    "AIRFLOW__API__HOST": "127.0.0.1",
    "AIRFLOW__API__WORKERS": "1",
}
POSTGRES_BIN = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), None)
NEEDED = {
    "redis-server": shutil.which("redis-server"),
    "postgres": POSTGRES_BIN and POSTGRES_BIN / "postgres",
}


class Cluster:
    """The processes of one cluster.

    :param folder: for everything that they write; PostgreSQL's user must be able to enter it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = {
            n: free_port() for n in ("postgres", "redis", "api-server", "local-runtime", "scheduler")
        }
        self.processes = ProcessTable(folder)
        self.api = AirflowApi(f"http://127.0.0.1:{self.ports['api-server']}")
        secrets = {name: f"test-{name.lower()}" for name, default in variables().items() if default is None}
        secrets["AIRFLOW_FERNET_KEY"] = urlsafe_b64encode(b"0" * 32).decode()
        # Longer than the 64 bytes that a signature with SHA-512 wants.
        secrets["AIRFLOW_JWT_SECRET"] = "j" * 64
        self.secrets = secrets
        self.services = services(secrets)

    # -- What a container would give ---------------------------------------------------------------------

    def _adapted(self, text: str) -> str:
        port, folder = self.ports, self.folder
        for old, new in {
            "postgres:5432": f"127.0.0.1:{port['postgres']}",
            "redis:6379": f"127.0.0.1:{port['redis']}",
            "api-server:8080": f"127.0.0.1:{port['api-server']}",
            "local-runtime:4566": f"127.0.0.1:{port['local-runtime']}",
            "localhost:8080": f"127.0.0.1:{port['api-server']}",
            "localhost:8974": f"127.0.0.1:{port['scheduler']}",
            "localhost:4566": f"127.0.0.1:{port['local-runtime']}",
            "exec redis-server": f"exec redis-server --port {port['redis']} --dir {folder}/redis",
            "redis-cli ping": f"redis-cli -p {port['redis']} ping",
            "/opt/airflow/dags": str(ROOT / "dags"),
            "/opt/airflow/plugins": str(ROOT / "plugins"),
            "/opt/airflow/docker": str(ROOT / "docker"),
            "/opt/airflow": str(folder),
            "/var/lib/local-runtime": f"{folder}/runtime",
        }.items():
            text = text.replace(old, new)
        return {"0.0.0.0": "127.0.0.1", "4566": str(port["local-runtime"])}.get(text, text)

    def environment(self, service: Service, host: str) -> dict[str, str]:
        """Return the environment of one process of a service."""
        own = {name: self._adapted(value) for name, value in service.environment.items()}
        home = self.folder / "homes" / host
        home.mkdir(parents=True, exist_ok=True)
        if "AIRFLOW__API__PORT" in own:
            own |= QUICK | {"AIRFLOW__API__PORT": str(self.ports["api-server"])}
            own["AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT"] = str(self.ports["scheduler"])
            for name in ("WORKER_LOG_SERVER_PORT", "TRIGGER_LOG_SERVER_PORT"):
                own[f"AIRFLOW__LOGGING__{name}"] = str(free_port())
        if service.name == "bootstrap":
            own["RUNTIME_HOST"] = "127.0.0.1"
        return own | {
            "PATH": f"{Path(sys.executable).parent}:{POSTGRES_BIN}:{os.environ['PATH']}",
            "HOME": str(home),
            "AIRFLOW_HOME": str(home),
            "CLUSTER_HOST": host,
            "HOSTNAME": host,
            "PYTHONPATH": f"{ROOT}:{ROOT / 'plugins'}:{Path(__file__).parent}",
            "PGPORT": str(self.ports["postgres"]),
            "PGHOST": "127.0.0.1",
            "PGPASSWORD": self.secrets["POSTGRES_PASSWORD"],
        }

    def command(self, service: Service, host: str) -> list[str]:
        """Return the command of one process of a service."""
        command = [self._adapted(word) for word in service.command]
        if service.name == "worker":
            return [*command, "--celery-hostname", f"celery@{host}"]
        if service.name == "postgres":
            files = ["-D", f"{self.folder}/postgres", "-k", str(self.folder / "postgres")]
            return [*self._as_postgres(), *command, *files, "-p", str(self.ports["postgres"])]
        return command

    @staticmethod
    def _as_postgres() -> list[str]:
        """PostgreSQL refuses to run as root."""
        if os.geteuid() != 0:
            return []
        return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]

    # -- Processes ---------------------------------------------------------------------------------------

    def start(self, name: str, host: str | None = None) -> None:
        """Start one process of a service and wait until its own health check passes."""
        service, host = self.services[name], host or name
        self.processes.start(
            ProcessSpec(name=host, command=self.command(service, host), env=self.environment(service, host))
        )
        self.wait_healthy(name, host)

    def wait_healthy(self, name: str, host: str | None = None, *, timeout: float = 120) -> None:
        """Wait until the health check of the service passes."""
        service, host = self.services[name], host or name
        check = [self._adapted(word) for word in service.healthcheck]
        env = self.environment(service, host)
        deadline = time.monotonic() + timeout
        while True:
            done = subprocess.run(check, env=env, capture_output=True, text=True, timeout=60, check=False)
            if done.returncode == 0:
                return
            self.processes.require_alive([host])
            tail = self.processes.log_tail(host)
            assert time.monotonic() < deadline, f"{host} is not healthy: {done.stdout}{done.stderr}\n{tail}"
            time.sleep(0.5)

    def run_once(self, name: str) -> None:
        """Run a service that ends: ``init`` or ``bootstrap``."""
        service = self.services[name]
        done = subprocess.run(
            self.command(service, name),
            env=self.environment(service, name),
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, f"{name}: {done.stdout[-3000:]}{done.stderr[-3000:]}"

    def kill(self, host: str) -> int:
        """Kill a process and all that it started at once, as the end of its container does."""
        process = self.processes.running(host)
        assert process is not None, f"{host} does not run"
        family = [process, *process.children(recursive=True)]
        for member in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()
        psutil.wait_procs(family, timeout=10)
        return len(family)

    def up(self) -> None:
        """Start everything in the order that the file asks for, with two workers and two triggerers."""
        for name in ("redis", "auth", "logs", "runtime", "postgres"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self._init_postgres()
        self.start("postgres")
        subprocess.run(
            ["createdb", "-U", "airflow", "airflow"],
            env=self.environment(self.services["postgres"], "postgres"),
            check=True,
        )
        self.start("redis")
        self.start("local-runtime")
        self.run_once("bootstrap")
        self.run_once("init")
        self.start("api-server")
        self.log_in()
        for name, host in (
            ("scheduler", "scheduler"),
            ("dag-processor", "dag-processor"),
            ("triggerer", "triggerer-1"),
            ("triggerer", "triggerer-2"),
            ("worker", "worker-1"),
            ("worker", "worker-2"),
        ):
            self.start(name, host)

    def down(self) -> None:
        """Stop what runs, the servers that others need last."""
        hosts = ["worker-1", "worker-2", "worker-3", "triggerer-1", "triggerer-2", "triggerer-3"]
        self.processes.stop([*hosts, "scheduler", "dag-processor"], timeout=10)
        self.processes.stop(["api-server", "local-runtime", "redis"], timeout=10)
        self.processes.stop(["postgres"])

    def log_in(self) -> None:
        """Take a token with the password that ``init`` wrote."""
        body = {"username": "admin", "password": self.secrets["AIRFLOW_ADMIN_PASSWORD"]}
        url = f"http://127.0.0.1:{self.ports['api-server']}/auth/token"
        token = requests.post(url, json=body, timeout=30).json()["access_token"]
        self.api._session.headers["Authorization"] = f"Bearer {token}"

    def _init_postgres(self) -> None:
        data, password = self.folder / "postgres", self.folder / "postgres-password"
        password.write_text(self.secrets["POSTGRES_PASSWORD"])
        if os.geteuid() == 0:
            shutil.chown(data, "postgres", "postgres")
            shutil.chown(password, "postgres", "postgres")
        command = [f"{POSTGRES_BIN}/initdb", "-D", str(data), "-U", "airflow", "--auth=scram-sha-256"]
        subprocess.run(
            [*self._as_postgres(), *command, f"--pwfile={password}"],
            check=True,
            capture_output=True,
            timeout=120,
        )
