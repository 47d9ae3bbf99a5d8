"""The wheel with every Airflow that it supports, and the oldest and the newest of its other dependencies.

The oldest are the lower bounds in ``pyproject.toml``. ``make version-test`` runs what needs an environment.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from stack.package import build_wheel
from stack.settings import ROOT
from tests.packaging.installation import (
    AIRFLOWS,
    PYPROJECT,
    RESOLUTIONS,
    SOURCES,
    Installation,
    InstallationTests,
    airflow_variables,
    install,
    locked,
    new_environment,
)

# What the tests of the package import, and the options in pyproject.toml need.
TEST_TOOLS = ["pytest", "pytest-randomly", "pytest-timeout", "pytest-xdist", "hypothesis", "moto", "statsd"]
# A machine that does other work needs minutes for the unit tests of one combination.
pytestmark = [pytest.mark.long, pytest.mark.timeout(2400)]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("dist"))


@dataclass(frozen=True)
class Combination:
    """An Airflow, and ``"oldest"`` or ``"newest"`` of what else the package needs."""

    airflow: str
    others: str

    def __str__(self) -> str:
        return f"{self.airflow}-{self.others}"


COMBINATIONS = [Combination(*pair) for pair in product(AIRFLOWS, RESOLUTIONS)]


@pytest.fixture(scope="module", params=COMBINATIONS, ids=str)
def combination(request: pytest.FixtureRequest) -> Combination:
    found: Combination = request.param
    return found


@pytest.fixture(scope="module")
def installation(
    combination: Combination, wheel: Path, tmp_path_factory: pytest.TempPathFactory
) -> Installation:
    """An environment with the wheel, these versions, and what the unit tests need."""
    home = tmp_path_factory.mktemp("home")
    python = new_environment(home / "venv")
    tools = [pin.replace("moto==", "moto[server]==") for pin in locked(*TEST_TOOLS)]
    versions = ["--resolution", RESOLUTIONS[combination.others], f"apache-airflow=={combination.airflow}"]
    install(python, "-r", PYPROJECT, "--extra", "openlineage", *versions, *tools)
    install(python, "--no-deps", str(wheel))
    (home / "plugins").mkdir()
    return Installation(
        "wheel", python, airflow_variables(home, dags=ROOT / "dags", plugins=home / "plugins")
    )


def test_the_environment_has_the_versions(combination: Combination, seen: dict[str, Any]) -> None:
    assert seen["versions"]["apache-airflow"] == combination.airflow
    amazon = seen["versions"]["apache-airflow-providers-amazon"]
    print(f"\nAirflow {combination.airflow}, Amazon provider {amazon}")
    if combination.others == "oldest":
        assert Version(amazon) == lower_bound("apache-airflow-providers-amazon")
    else:
        assert Version(amazon) >= Version(locked("apache-airflow-providers-amazon")[0].partition("==")[2])


def test_every_module_imports(seen: dict[str, Any]) -> None:
    assert {"sagemaker_pipelines", *seen["modules"]} == SOURCES
    assert "site-packages" in seen["file"]
    assert seen["plugin_errors"] == {}
    assert "airflow-sagemaker-pipelines" in seen["providers"]


class TestVersions(InstallationTests):
    """With each combination of versions."""


def test_the_unit_tests_pass(installation: Installation) -> None:
    """With the wheel: without ``plugins`` on the path, the package can only be the installed one."""
    command = ["-m", "pytest", "-q", "-n", "logical", "-p", "no:cacheprovider", "-o", "pythonpath=."]
    env = {name: installation.env[name] for name in ("PATH", "HOME")}
    installation.run(*command, "tests/unit/sagemaker_pipelines", cwd=ROOT, env=env)


def lower_bound(name: str) -> Version:
    """Return the oldest version of a dependency that ``pyproject.toml`` allows."""
    project = tomllib.loads(Path(PYPROJECT).read_text(encoding="utf-8"))["project"]
    (wanted,) = (found for found in map(Requirement, project["dependencies"]) if found.name == name)
    (bound,) = wanted.specifier
    return Version(bound.version)
