"""The wheel with every Airflow that it supports, and the oldest and the newest of its other dependencies.

The oldest are the lower bounds in ``pyproject.toml``. ``make version-test`` runs what needs an environment.
"""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from stack.package import DISTRIBUTIONS, build_wheel
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
pytestmark = pytest.mark.long


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


def lower_bounds() -> dict[str, Version]:
    """Return the oldest version of each dependency that ``pyproject.toml`` allows."""
    project = tomllib.loads(Path(PYPROJECT).read_text(encoding="utf-8"))["project"]
    wanted = map(Requirement, project["dependencies"])
    return {each.name: Version(bound.version) for each in wanted for bound in each.specifier}


LOWER_BOUNDS = lower_bounds()
# Airflow itself, or what it brings, needs newer ones than this package.
NEWER_FOR_AIRFLOW = {"fastapi", "opentelemetry-api", "rich", "sqlalchemy", "typer"}
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
    # uv takes the oldest of direct dependencies only, and aiobotocore decides which botocore there is.
    direct = ["aiobotocore"] if combination.others == "oldest" else []
    install(python, "-r", PYPROJECT, "--extra", "openlineage", *versions, *tools, *direct)
    install(python, "--no-deps", str(wheel))
    (home / "plugins").mkdir()
    return Installation(
        "wheel", python, airflow_variables(home, dags=ROOT / "dags", plugins=home / "plugins")
    )


def test_the_environment_has_the_versions(combination: Combination, seen: dict[str, Any]) -> None:
    assert seen["versions"]["apache-airflow"] == combination.airflow
    versions: dict[str, str] = {
        canonicalize_name(name): version for name, version in seen["versions"].items()
    }
    found = {name: Version(versions[name]) for name in LOWER_BOUNDS}
    print(f"\nAirflow {combination.airflow}: {', '.join(f'{name} {found[name]}' for name in found)}")
    if combination.others == "oldest":
        newer = {name for name, bound in LOWER_BOUNDS.items() if found[name] > bound}
        assert newer <= {"apache-airflow", *NEWER_FOR_AIRFLOW}, found
        assert all(found[name] >= bound for name, bound in LOWER_BOUNDS.items())
    else:
        locks = dict(pin.split("==") for pin in locked("apache-airflow-providers-amazon", "botocore"))
        assert all(found[name] >= Version(lock) for name, lock in locks.items() if name in found)


def test_every_module_imports(seen: dict[str, Any]) -> None:
    assert {"sagemaker_pipelines", *seen["modules"]} == SOURCES
    assert "site-packages" in seen["file"]
    assert seen["plugin_errors"] == {}
    assert "airflow-sagemaker-pipelines" in seen["providers"]


@pytest.mark.parametrize("others", RESOLUTIONS)
def test_a_new_project_is_compiled_and_executed(others: str, tmp_path: Path) -> None:
    """With the compiler and the local runtime, whose own bounds these are, and no lock."""
    wheels = [str(build_wheel(tmp_path / "dist", root=ROOT / folder)) for folder in DISTRIBUTIONS]
    bounds = [argument for folder in DISTRIBUTIONS for argument in ("-r", f"{ROOT / folder}/pyproject.toml")]
    python = new_environment(tmp_path / "venv")
    options = ["--resolution", RESOLUTIONS[others], "--override", str(ROOT / "overrides.txt")]
    install(python, *bounds, "--extra", "testing", "--find-links", str(tmp_path / "dist"), *options)
    install(python, "--no-deps", *wheels)
    project = tmp_path / "project"
    project.mkdir()
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "AIRFLOW_HOME": str(tmp_path / "airflow")}
    installed = Installation("wheel", python, env)
    for command in (["new", "oldest"], ["compile"]):
        installed.run("-m", "sagemaker_pipelines", *command, cwd=project, env=env)
    assert "passed" in installed.run("-m", "pytest", cwd=project, env=env)


class TestVersions(InstallationTests):
    """With each combination of versions."""


def test_the_unit_tests_pass(installation: Installation) -> None:
    """With the wheel: without ``plugins`` on the path, the package can only be the installed one."""
    command = ["-m", "pytest", "-q", "-n", "logical", "-p", "no:cacheprovider", "-o", "pythonpath=."]
    env = {name: installation.env[name] for name in ("PATH", "HOME")}
    installation.run(*command, "tests/unit/sagemaker_pipelines", cwd=ROOT, env=env)
