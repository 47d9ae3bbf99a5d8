"""What was built, in an environment with only MWAA's requirements: once as plugins.zip, once as the wheel."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from stack.package import MWAA_AIRFLOW, MWAA_DAGS, build
from tests.packaging.installation import (
    SOURCES,
    Installation,
    InstallationTests,
    airflow_variables,
    install,
    new_environment,
)

# A build and two installations, each of which has its own limit.
pytestmark = [pytest.mark.thorough, pytest.mark.timeout(7200)]


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``make package`` builds, with versions for this interpreter, which may be older than MWAA's."""
    folder = tmp_path_factory.mktemp("dist")
    build(folder, python=f"{sys.version_info.major}.{sys.version_info.minor}")
    return folder


@pytest.fixture(scope="module")
def python(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The interpreter of a new environment with the requirements that MWAA is given."""
    folder = tmp_path_factory.mktemp("environment")
    requirements = folder / "requirements.txt"
    shipped = (dist / "mwaa" / "requirements.txt").read_text()
    requirements.write_text(shipped.replace(MWAA_DAGS, str(dist / "mwaa" / "dags")))
    interpreter = new_environment(folder / "venv")
    install(interpreter, "-r", str(requirements))
    return interpreter


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
        (wheel,) = dist.glob("airflow_*.whl")
        install(python, "--no-deps", "--target", str(site), str(wheel))
    env = airflow_variables(home, dags=dist / "mwaa" / "dags", plugins=plugins)
    env["PYTHONPATH"] = str(site) if request.param == "wheel" else ""
    return Installation(request.param, python, env)


def test_every_module_imports_from_what_was_built(installation: Installation, seen: dict[str, Any]) -> None:
    assert {"sagemaker_pipelines", *seen["modules"]} == SOURCES
    folder = installation.env[
        "AIRFLOW__CORE__PLUGINS_FOLDER" if installation.form == "mwaa" else "PYTHONPATH"
    ]
    assert Path(seen["file"]).parent.parent == Path(folder)


def test_the_environment_has_mwaas_airflow(seen: dict[str, Any]) -> None:
    assert seen["versions"]["apache-airflow"] == MWAA_AIRFLOW


def test_the_environment_has_neither_the_sdk_nor_the_local_runtimes_libraries(seen: dict[str, Any]) -> None:
    assert not {"sagemaker", "sagemaker-core", "moto", "xgboost-cpu", "pandas"} & seen["versions"].keys()
    assert not {"sagemaker_local_runtime", "sagemaker_compile", "pipeline_src", "stack"} & set(seen["loaded"])


def test_airflow_loads_the_plugin_once(seen: dict[str, Any]) -> None:
    assert (seen["plugins"].count("sagemaker_pipelines"), seen["plugin_errors"]) == (1, {})


def test_airflow_lists_the_provider_when_it_is_installed_as_a_wheel(
    installation: Installation, seen: dict[str, Any]
) -> None:
    listed = "airflow-sagemaker-pipelines" in seen["providers"]
    assert listed == (installation.form == "wheel")


class TestCleanEnvironment(InstallationTests):
    """With only what MWAA or the wheel brings."""
