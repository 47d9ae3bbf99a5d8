"""What a container would give to a service of docker-compose.yaml, given to an ordinary process.

Commands, environments and health checks are the file's own. Host names are replaced by loopback ports in
them, and folders by temporary ones, as text.
"""

from __future__ import annotations

import os
import pwd
import shutil
import sys
from base64 import urlsafe_b64encode
from pathlib import Path

from sagemaker_local_runtime.images.ports import free_port
from stack.settings import ROOT
from tests.compose import Service, services, variables

# A cluster waits minutes before it believes in a death. The code that reacts is the same.
SOON = {
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "45",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "20",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "20",
    "AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY": "15",
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
}
WORKER_CONCURRENCY = 4
TEST_ONLY = {
    # Each process is a host, as each container is.
    "AIRFLOW__CORE__HOSTNAME_CALLABLE": "cluster_hosts.name",
    # The whole burst at once; the runs that the test counts are those that it triggers.
    "AIRFLOW__CORE__MAX_ACTIVE_RUNS_PER_DAG": "32",
    # No more than two workers take: what is queued longer than the timeout was lost with its worker.
    "AIRFLOW__CORE__PARALLELISM": str(2 * WORKER_CONCURRENCY),
    "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",
    "AIRFLOW__API__HOST": "127.0.0.1",
    "AIRFLOW__API__WORKERS": "1",
}
# Where Debian's package has the servers and clients of PostgreSQL, the newest version first.
_DEBIAN = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
POSTGRES_BIN = str(_DEBIAN[0]) if _DEBIAN else ""
SEARCH_PATH = f"{Path(sys.executable).parent}:{POSTGRES_BIN}:{os.environ['PATH']}"
PROGRAMS = ("postgres", "initdb", "createdb", "pg_isready", "redis-server", "redis-cli", "curl")


def missing() -> list[str]:
    """Return what the cluster needs and this machine does not have."""
    absent = [program for program in PROGRAMS if not shutil.which(program, path=SEARCH_PATH)]
    if os.geteuid() == 0:
        if not shutil.which("setpriv"):
            absent.append("setpriv")
        if "postgres" not in {user.pw_name for user in pwd.getpwall()}:
            absent.append("the user postgres")
    return absent


def as_postgres() -> list[str]:
    """Return what stands before PostgreSQL's programs, which refuse to run as root."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]


def service_of(host: str) -> str:
    """Return the service of a host: ``worker`` for ``worker-2``."""
    name, _, number = host.rpartition("-")
    return name if number.isdigit() else host


class Containers:
    """The services as processes of one machine.

    :param folder: stands for every volume; PostgreSQL's user must be able to enter it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = {name: free_port() for name in ("postgres", "redis", "api-server", "local-runtime")}
        self._health_ports: dict[str, int] = {}
        self.values = {
            name: f"test-{name.lower()}" for name, default in variables().items() if default is None
        } | {
            "AIRFLOW_FERNET_KEY": urlsafe_b64encode(b"0" * 32).decode(),
            # Longer than the 64 bytes that a signature with SHA-512 wants.
            "AIRFLOW_JWT_SECRET": "j" * 72,
            "AIRFLOW_WORKER_CONCURRENCY": str(WORKER_CONCURRENCY),
        }
        self.services = services(self.values)

    def service(self, host: str) -> Service:
        """Return the service that a host runs."""
        return self.services[service_of(host)]

    def command(self, host: str) -> list[str]:
        """Return the command of a host's process."""
        service = self.service(host)
        command = [self._adapted(word, host) for word in service.command]
        if service.name == "worker":
            return [*command, "--celery-hostname", f"celery@{host}"]
        if service.name == "postgres":
            data = f"{self.folder}/postgres"
            return [*as_postgres(), *command, "-D", data, "-k", data, "-p", str(self.ports["postgres"])]
        return command

    def healthcheck(self, host: str) -> list[str]:
        """Return the command of its health check."""
        return [self._adapted(word, host) for word in self.service(host).healthcheck]

    def home(self, host: str) -> Path:
        """Return the folder that no other host has; it tells a host's processes from others."""
        return self.folder / "homes" / host

    def environment(self, host: str) -> dict[str, str]:
        """Return the environment of a host's processes."""
        service = self.service(host)
        own = {name: self._adapted(value, host) for name, value in service.environment.items()}
        self.home(host).mkdir(parents=True, exist_ok=True)
        if "AIRFLOW__API__PORT" in own:
            own |= SOON | TEST_ONLY | {"AIRFLOW__API__PORT": str(self.ports["api-server"])}
            own["AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT"] = str(self._health_port(host))
            for name in ("WORKER_LOG_SERVER_PORT", "TRIGGER_LOG_SERVER_PORT"):
                own[f"AIRFLOW__LOGGING__{name}"] = str(free_port())
        if service.name == "bootstrap":
            own["RUNTIME_HOST"] = "127.0.0.1"
        return own | {
            "PATH": SEARCH_PATH,
            "HOME": str(self.home(host)),
            "AIRFLOW_HOME": str(self.home(host)),
            "HOSTNAME": host,
            "PYTHONPATH": f"{ROOT}:{ROOT / 'plugins'}:{Path(__file__).parent}",
            "PGPORT": str(self.ports["postgres"]),
            "PGHOST": "127.0.0.1",
            "PGPASSWORD": self.values["POSTGRES_PASSWORD"],
        }

    def _health_port(self, host: str) -> int:
        return self._health_ports.setdefault(host, free_port())

    def _adapted(self, text: str, host: str) -> str:
        port, folder = self.ports, self.folder
        for old, new in {
            "postgres:5432": f"127.0.0.1:{port['postgres']}",
            "redis:6379": f"127.0.0.1:{port['redis']}",
            "api-server:8080": f"127.0.0.1:{port['api-server']}",
            "local-runtime:4566": f"127.0.0.1:{port['local-runtime']}",
            "localhost:8080": f"127.0.0.1:{port['api-server']}",
            "localhost:8974": f"127.0.0.1:{self._health_port(host)}",
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
