"""An environment of its own with the package installed, driven from outside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from uv import find_uv_bin

from sagemaker_local_runtime.server import LocalServer
from stack.settings import ROOT
from tests.compose import read_env_file

DRIVE = str(Path(__file__).with_name("drive.py"))
PARSE = str(ROOT / "tests" / "dags" / "parse.py")
PYPROJECT = str(ROOT / "pyproject.toml")
#: The versions of Airflow that are tested, and how uv finds the oldest and the newest of what else is needed.
AIRFLOWS = ["3.3.0", "3.3.1", "3.3.2"]
RESOLUTIONS = {"oldest": "lowest-direct", "newest": "highest"}
DAGS = {"abalone_train", "abalone_challenger", "abalone_tuned", "abalone_score", "sagemaker_sweep"}
SOURCES = {
    ".".join(path.relative_to(ROOT / "plugins").with_suffix("").parts).removesuffix(".__init__")
    for path in (ROOT / "plugins" / "sagemaker_pipelines").rglob("*.py")
}


@dataclass(frozen=True)
class Installation:
    """The environment's interpreter with one of the forms of the package.

    :param form: ``"mwaa"`` or ``"wheel"``.
    :param python: the interpreter.
    :param env: the environment variables, without a region, a connection or a path to the checkout.
    """

    form: str
    python: str
    env: dict[str, str]

    def drive(self, *command: str, **extra: str) -> dict[str, Any]:
        """Run a script that prints JSON in its last line, and return that."""
        done = self.run(*command, cwd="/", env=self.env | extra)
        found: dict[str, Any] = json.loads(done.splitlines()[-1])
        return found

    def run(self, *command: str, cwd: str | Path, env: dict[str, str]) -> str:
        """Run the interpreter and return what it printed; its failure fails the test with its output."""
        done = subprocess.run(
            [self.python, *command], env=env, cwd=cwd, capture_output=True, text=True, timeout=1800
        )
        assert done.returncode == 0, f"{done.stdout[-5000:]}{done.stderr[-3000:]}"
        return done.stdout

    def train(self, server: LocalServer) -> dict[str, Any]:
        """Run ``abalone_train`` against the local runtime and return how its tasks ended.

        The connection is the one of docker/local.env; only the endpoint's host differs.
        """
        self.run("-m", "airflow", "db", "migrate", cwd="/", env=self.env)
        connection = json.loads(read_env_file(ROOT / "docker" / "local.env")["AIRFLOW_CONN_AWS_DEFAULT"])
        connection["extra"]["endpoint_url"] = server.endpoint_url
        return self.drive(DRIVE, "run", "abalone_train", AIRFLOW_CONN_AWS_DEFAULT=json.dumps(connection))


class InstallationTests:
    """What every installation must do; the module of a subclass has the fixture ``installation``."""

    def test_every_dag_parses_without_a_region_or_a_connection(self, installation: Installation) -> None:
        parsed = installation.drive(PARSE, installation.env["AIRFLOW__CORE__DAGS_FOLDER"])
        assert parsed["import_errors"] == {}
        assert set(parsed["dags"]) == DAGS

    def test_a_dag_runs_against_the_local_runtime(
        self, installation: Installation, server: LocalServer
    ) -> None:
        ended = installation.train(server)
        assert (ended["state"], ended["errors"]) == ("success", {})
        tasks = {name: state for name, state in ended["tasks"].items() if not name.startswith("steps.")}
        assert tasks == AWAITING


#: How the tasks of ``abalone_train`` end when its model is accepted and waits for approval.
AWAITING = {
    "select_inputs": "success",
    "upsert_pipeline": "success",
    "start_pipeline": "success",
    "wait_for_pipeline": "success",
    "branch_on_mse": "success",
    "notify_awaiting_approval": "success",
    "notify_rejected": "skipped",
    "trigger_scoring": "skipped",
}


def airflow_variables(home: Path, *, dags: Path, plugins: Path) -> dict[str, str]:
    """Return the variables of an Airflow with a home of its own."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "AIRFLOW_HOME": str(home / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(plugins),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }


def new_environment(folder: Path) -> str:
    """Make an empty environment of this interpreter and return its own."""
    uv("venv", "--quiet", "--python", sys.executable, str(folder))
    return str(folder / "bin" / "python")


def install(python: str, *arguments: str) -> None:
    """Install into an environment with ``uv pip install``."""
    uv("pip", "install", "--quiet", "--python", python, *arguments)


def uv(*arguments: str, given: str | None = None) -> str:
    """Run uv and return what it printed; its failure fails the test with its explanation."""
    done = subprocess.run([find_uv_bin(), *arguments], input=given, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def locked(*names: str) -> list[str]:
    """Return the requirements of these packages in the versions that this checkout is tested with."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    found = [line.removesuffix(" \\").partition(" ;")[0] for line in lines if line[:1].isalnum()]
    pins = {Requirement(pin).name: pin for pin in found}
    return [pins[name] for name in names]
