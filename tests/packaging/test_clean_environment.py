"""What was built, in an environment with only MWAA's requirements: once as plugins.zip, once as the wheel."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from local_runtime.server import LocalServer
from local_runtime.settings import Settings
from stack.bootstrap import bootstrap
from stack.compose import read_env_file
from stack.package import MWAA_DAGS, build
from stack.settings import ROOT, StackSettings

pytestmark = [pytest.mark.thorough, pytest.mark.timeout(600)]

UV = str(Path(sys.executable).with_name("uv"))
DRIVE = str(Path(__file__).with_name("drive.py"))
PARSE = str(ROOT / "tests" / "dags" / "parse.py")
SOURCES = {
    ".".join(path.relative_to(ROOT / "plugins").with_suffix("").parts).removesuffix(".__init__")
    for path in (ROOT / "plugins" / "sagemaker_pipelines").rglob("*.py")
}


@dataclass(frozen=True)
class Installation:
    """The environment's interpreter with one of the two forms of the package.

    :param form: ``"mwaa"`` or ``"wheel"``.
    :param python: the interpreter.
    :param env: the environment variables, without a region, a connection or a path to the checkout.
    """

    form: str
    python: str
    env: dict[str, str]

    def drive(self, *command: str, **extra: str) -> dict[str, Any]:
        done = subprocess.run(
            [self.python, *command],
            env=self.env | extra,
            cwd="/",
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, f"{done.stdout[-3000:]}{done.stderr[-3000:]}"
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    build(folder)
    return folder


@pytest.fixture(scope="module")
def python(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The interpreter of a new environment with the requirements that MWAA is given."""
    folder = tmp_path_factory.mktemp("environment")
    requirements = folder / "requirements.txt"
    shipped = (dist / "mwaa" / "requirements.txt").read_text()
    requirements.write_text(shipped.replace(MWAA_DAGS, str(dist / "mwaa" / "dags")))
    subprocess.run([UV, "venv", "--quiet", "--python", sys.executable, str(folder / "venv")], check=True)
    interpreter = folder / "venv" / "bin" / "python"
    command = [UV, "pip", "install", "--quiet", "--python", str(interpreter), "-r", str(requirements)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    return str(interpreter)


@pytest.fixture(scope="module", params=["mwaa", "wheel"])
def installation(
    request: pytest.FixtureRequest, dist: Path, python: str, tmp_path_factory: pytest.TempPathFactory
) -> Installation:
    home = tmp_path_factory.mktemp(request.param)
    plugins, site = home / "plugins", home / "site"
    plugins.mkdir()
    if request.param == "mwaa":
        with zipfile.ZipFile(dist / "mwaa" / "plugins.zip") as archive:
            archive.extractall(plugins)
    else:
        (wheel,) = dist.glob("*.whl")
        command = [UV, "pip", "install", "--quiet", "--no-deps", "--target", str(site), str(wheel)]
        subprocess.run([*command, "--python", python], check=True)
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "AIRFLOW_HOME": str(home / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dist / "mwaa" / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(plugins),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "PYTHONPATH": str(site) if request.param == "wheel" else "",
    }
    return Installation(request.param, python, env)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    with LocalServer(Settings(data_dir=tmp_path_factory.mktemp("runtime"), port=0)) as running:
        bootstrap(StackSettings(runtime_port=int(running.endpoint_url.rpartition(":")[2])))
        yield running


@pytest.fixture(scope="module")
def seen(installation: Installation) -> dict[str, Any]:
    return installation.drive(DRIVE, "modules")


def test_every_module_imports_from_what_was_built(installation: Installation, seen: dict[str, Any]) -> None:
    assert {"sagemaker_pipelines", *seen["modules"]} == SOURCES
    folder = installation.env[
        "AIRFLOW__CORE__PLUGINS_FOLDER" if installation.form == "mwaa" else "PYTHONPATH"
    ]
    assert Path(seen["file"]).parent.parent == Path(folder)


def test_the_environment_has_neither_the_sdk_nor_the_local_runtimes_libraries(seen: dict[str, Any]) -> None:
    assert not {"sagemaker", "sagemaker-core", "moto", "xgboost-cpu", "pandas"} & set(seen["distributions"])
    assert not {"local_runtime", "pipeline_src", "stack"} & set(seen["loaded"])


def test_airflow_loads_the_plugin_once(seen: dict[str, Any]) -> None:
    assert (seen["plugins"].count("sagemaker_pipelines"), seen["plugin_errors"]) == (1, {})


def test_airflow_lists_the_provider_when_it_is_installed_as_a_wheel(
    installation: Installation, seen: dict[str, Any]
) -> None:
    listed = "airflow-sagemaker-pipelines" in seen["providers"]
    assert listed == (installation.form == "wheel")


def test_every_dag_parses_without_a_region_or_a_connection(installation: Installation) -> None:
    parsed = installation.drive(PARSE, installation.env["AIRFLOW__CORE__DAGS_FOLDER"])
    assert parsed["import_errors"] == {}
    assert set(parsed["dags"]) == {"abalone_train", "abalone_score", "sagemaker_sweep"}


def test_a_dag_runs_against_the_local_runtime(installation: Installation, server: LocalServer) -> None:
    """The connection is the one of docker/local.env; only the endpoint's host differs."""
    command = [installation.python, "-m", "airflow", "db", "migrate"]
    subprocess.run(command, env=installation.env, check=True, capture_output=True, timeout=120)
    connection = json.loads(read_env_file(ROOT / "docker" / "local.env")["AIRFLOW_CONN_AWS_DEFAULT"])
    connection["extra"]["endpoint_url"] = server.endpoint_url
    ended = installation.drive(DRIVE, "run", "abalone_train", AIRFLOW_CONN_AWS_DEFAULT=json.dumps(connection))
    assert (ended["state"], ended["errors"]) == ("success", {})
    assert ended["tasks"] == {
        "select_inputs": "success",
        "upsert_pipeline": "success",
        "start_pipeline": "success",
        "wait_for_pipeline": "success",
        "branch_on_mse": "success",
        "notify_awaiting_approval": "success",
        "notify_rejected": "skipped",
        "trigger_scoring": "skipped",
    }
