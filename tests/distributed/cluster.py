"""The services of docker-compose.yaml as ordinary processes on one machine."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil

from sagemaker_pipelines.airflow_client import AirflowClient
from sagemaker_pipelines.page.app import PREFIX
from stack.processes import ProcessSpec, ProcessTable, runs
from tests.distributed.containers import SEARCH_PATH, Containers, as_postgres, service_of
from tests.waiting import GENEROUS_SECONDS, until

# Generous: on a busy machine of two cores a process of Airflow needs half a minute to start.
HEALTHY_SECONDS = 600.0
MOST_RESTARTS = 3
SERVERS = ("postgres", "redis", "local-runtime", "api-server")


class Cluster:
    """The processes of one cluster.

    :param folder: for everything that they write; PostgreSQL's user must be able to enter it.
    :param say: is told what happens.
    """

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        self.folder = folder
        self.say = say
        self.containers = Containers(folder)
        self.processes = ProcessTable(folder)
        self.hosts: list[str] = []
        self.ended: Counter[str] = Counter()
        self.api = AirflowClient(self.url("api-server"))

    def url(self, service: str) -> str:
        """Return the address of a server that speaks HTTP."""
        return f"http://127.0.0.1:{self.containers.ports[service]}"

    def up(self, others: list[str]) -> None:
        """Start the servers in the order that the file asks for, and then the other hosts together."""
        for name in ("redis", "auth", "logs", "runtime", "postgres"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self._create_database()
        self.start("redis", "local-runtime")
        self._run_once("bootstrap")
        self._run_once("init")
        self.start("api-server")
        self.log_in()
        self.start(*others)

    def start(self, *hosts: str) -> None:
        """Start hosts and wait until the health check of each passes."""
        for host in hosts:
            self.launch(host)
        for host in hosts:
            self.wait_healthy(host)

    def launch(self, host: str) -> None:
        """Start a host and wait for nothing."""
        spec = ProcessSpec(
            name=host, command=self.containers.command(host), env=self.containers.environment(host)
        )
        self.processes.start(spec)
        if host not in self.hosts:
            self.hosts.append(host)

    def wait_healthy(self, host: str) -> None:
        """Wait until a host's own health check passes."""
        check, env = self.containers.healthcheck(host), self.containers.environment(host)
        deadline = time.monotonic() + HEALTHY_SECONDS
        while True:
            began = time.monotonic()
            done = subprocess.run(
                check, env=env, capture_output=True, text=True, timeout=GENEROUS_SECONDS, check=False
            )
            if done.returncode == 0:
                return
            self.revive()
            tail = self.processes.log_tail(host)
            assert time.monotonic() < deadline, f"{host} is not healthy: {done.stdout}{done.stderr}\n{tail}"
            # Most checks import Airflow: they must not take the machine from what they wait for.
            time.sleep(max(0.3, time.monotonic() - began))

    def kill(self, host: str) -> int:
        """Kill all processes of a host at once, as the end of its container does, and return how many."""
        ended = self._end(host)
        assert ended, f"{host} does not run"
        self.hosts.remove(host)
        return ended

    def revive(self) -> None:
        """Start again what has ended by itself, where the file says ``restart: unless-stopped``."""
        for host in self.hosts:
            if self.processes.running(host) is None:
                tail = self.processes.log_tail(host)
                self.ended[host] += 1
                assert self.containers.service(host).raw["restart"] == "unless-stopped"
                assert self.ended[host] <= MOST_RESTARTS, f"{host} ends again and again:\n{tail}"
                self._end(host)
                self.launch(host)
                self.say(
                    f"{host} had ended and is started again; its last line: {tail.splitlines()[-1][:200]}"
                )

    def down(self) -> None:
        """Stop what runs, the servers that others need last."""
        hosts = list(self.hosts)
        self.processes.stop([host for host in hosts if service_of(host) not in SERVERS], timeout=10)
        for server in reversed(SERVERS):
            self.processes.stop([server], timeout=10)
        for host in hosts:
            self._end(host)

    def log_in(self) -> None:
        """Take a token with the password that ``init`` wrote."""
        self.api.log_in("admin", self.containers.values["AIRFLOW_ADMIN_PASSWORD"])

    def page(self, path: str) -> Any:
        """Return what the plugin's page fetches below ``api/``, with the session of a browser."""
        body = {"username": "admin", "password": self.containers.values["AIRFLOW_ADMIN_PASSWORD"]}
        url = self.url("api-server")
        with httpx.Client(timeout=GENEROUS_SECONDS, trust_env=False) as browser:
            token = browser.post(f"{url}/auth/token", json=body).raise_for_status().json()["access_token"]
            browser.cookies.set("_token", token)
            return browser.get(f"{url}/{PREFIX}/api/{path}").raise_for_status().json()

    def _end(self, host: str) -> int:
        family = self._family(host)
        for member in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()
        until(lambda: not any(map(runs, family)), f"the end of {host}")
        return len(family)

    def _family(self, host: str) -> list[psutil.Process]:
        """Return the processes of a host: those in its home, and the children of its first one."""
        first = self.processes.running(host)
        found = set(_in_home(self.containers.home(host)))
        with contextlib.suppress(psutil.NoSuchProcess):
            # PostgreSQL overwrites its environment.
            found |= {first, *first.children(recursive=True)} if first else set()
        return sorted(found, key=lambda process: process.pid)

    def _run_once(self, name: str) -> None:
        """Run a service that ends: ``init`` or ``bootstrap``."""
        done = subprocess.run(
            self.containers.command(name),
            env=self.containers.environment(name),
            capture_output=True,
            text=True,
            timeout=GENEROUS_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{name}: {done.stdout[-3000:]}{done.stderr[-3000:]}"

    def _create_database(self) -> None:
        data, password = self.folder / "postgres", self.folder / "postgres-password"
        password.write_text(self.containers.values["POSTGRES_PASSWORD"])
        if os.geteuid() == 0:
            for path in (data, password):
                shutil.chown(path, "postgres", "postgres")
        initdb = [*as_postgres(), "initdb", "-D", str(data), f"--pwfile={password}"]
        subprocess.run(
            # The image's encoding, whatever the locale here.
            [*initdb, "-U", "airflow", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8"],
            env={"PATH": SEARCH_PATH},
            check=True,
            capture_output=True,
            timeout=GENEROUS_SECONDS,
        )
        self.launch("postgres")
        # The image makes the database; the health check asks for it.
        env = self.containers.environment("postgres")
        createdb = ["createdb", "-U", "airflow", "airflow"]
        self.processes.wait_until(
            lambda: subprocess.run(createdb, env=env, capture_output=True, check=False).returncode == 0,
            ["postgres"],
            what="createdb",
            timeout=GENEROUS_SECONDS,
        )
        self.wait_healthy("postgres")


def _in_home(home: Path) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("HOME") == str(home):
                yield process
