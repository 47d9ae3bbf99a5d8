"""Airflow's API server alone, over a database with runs, at an address that has a path."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import httpx

from sagemaker_local_runtime.images.ports import free_port
from stack.airflow_env import airflow_environment
from stack.processes import ProcessSpec, ProcessTable
from stack.settings import ROOT, StackSettings
from tests.e2e.page.access import OUTSIDER
from tests.waiting import GENEROUS_SECONDS

NAME = "airflow-api-server"
PATH = "/teams/ml"
ADMIN = "admin"
START_SECONDS = 180.0


class PageServer:
    """An API server that a test can ask and point a browser at.

    :param folder: everything it writes.
    """

    def __init__(self, folder: Path) -> None:
        settings = StackSettings(state_dir=folder, airflow_port=free_port(), dags_folder=_dags())
        self.url = settings.airflow_url + PATH
        self.page = f"{self.url}/sagemaker-pipelines/"
        passwords = folder / "passwords.json"
        passwords.write_text(json.dumps({ADMIN: ADMIN, OUTSIDER: OUTSIDER}))
        access = {
            "AIRFLOW__CORE__AUTH_MANAGER": "tests.e2e.page.access.OneHiddenDagAuthManager",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{ADMIN}:admin,{OUTSIDER}:viewer",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
            "AIRFLOW__API__BASE_URL": self.url,
        }
        self._env = {
            **airflow_environment(settings, extra=access),
            "PYTHONPATH": f"{ROOT / 'plugins'}:{ROOT}",
        }
        self._processes = ProcessTable(folder)
        self._port = settings.airflow_port

    def start(self) -> None:
        """Make the database, put the runs into it, and start the server."""
        for module, *arguments in (
            ("airflow", "db", "migrate"),
            ("airflow", "dags", "reserialize"),
            ("tests.e2e.page.seeding",),
        ):
            command = [sys.executable, "-m", module, *arguments]
            done = subprocess.run(
                command, env=self._env, capture_output=True, text=True, timeout=START_SECONDS, check=False
            )
            assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}{done.stderr[-4000:]}"
        command = [sys.executable, "-m", "stack.airflow_process", "api-server"]
        self._processes.start(ProcessSpec(name=NAME, command=command, env=self._env, port=self._port))
        self._processes.wait_until(
            self._answers, [NAME], what="Starting the API server", timeout=START_SECONDS
        )

    def stop(self) -> None:
        """Stop the server."""
        self._processes.stop([NAME])

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/api/v2/version", timeout=GENEROUS_SECONDS).is_success
        except httpx.HTTPError:
            return False

    def token(self, user: str) -> str:
        """Return the token that a user's browser has as a cookie."""
        answer = httpx.post(
            f"{self.url}/auth/token", json={"username": user, "password": user}, timeout=GENEROUS_SECONDS
        ).raise_for_status()
        return str(answer.json()["access_token"])

    def client(self, user: str | None) -> httpx.Client:
        """Return a client with a user's session; None is nobody's."""
        cookies = {"_token": self.token(user)} if user else {}
        return httpx.Client(base_url=self.page, cookies=cookies, timeout=GENEROUS_SECONDS)


def _dags() -> Path:
    return Path(__file__).parent / "dags"
