"""What ``make package`` builds."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from configparser import ConfigParser
from email.parser import Parser
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from sagemaker_pipelines.provider_info import get_provider_info
from stack.exceptions import PackageError
from stack.package import MWAA_DAGS, build, build_mwaa, build_wheel, mwaa_requirements
from stack.settings import ROOT

PACKAGE = ROOT / "plugins" / "sagemaker_pipelines"
SOURCES = {path.relative_to(ROOT / "plugins").as_posix() for path in PACKAGE.rglob("*.py")}


pytestmark = pytest.mark.thorough


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    build(folder)
    return folder


def archive(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def wheel_file(dist: Path, name: str) -> str:
    (wheel,) = dist.glob("*.whl")
    (body,) = (body for path, body in archive(wheel).items() if path.endswith(f".dist-info/{name}"))
    return body.decode()


def test_the_wheel_has_the_airflow_package_and_nothing_else(dist: Path) -> None:
    (wheel,) = dist.glob("*.whl")
    code = {name for name in archive(wheel) if ".dist-info/" not in name}
    assert code == SOURCES | {"sagemaker_pipelines/py.typed", "sagemaker_pipelines_plugin.py"}


def test_the_wheel_registers_the_provider_and_the_plugin(dist: Path) -> None:
    entries = ConfigParser()
    entries.read_string(wheel_file(dist, "entry_points.txt"))
    assert dict(entries["apache_airflow_provider"]) == {
        "provider_info": "sagemaker_pipelines.provider_info:get_provider_info"
    }
    assert dict(entries["airflow.plugins"]) == {
        "sagemaker_pipelines": "sagemaker_pipelines_plugin:SageMakerPipelinesPlugin"
    }


def test_the_wheel_requires_an_airflow_that_pip_would_not_take_older(dist: Path) -> None:
    message = Parser().parsestr(wheel_file(dist, "METADATA"))
    required = {found.name: found for found in map(Requirement, message.get_all("Requires-Dist", []))}
    assert message["Name"] == get_provider_info()["package-name"]
    assert "3.2.9" not in required["apache-airflow"].specifier
    assert "3.3.0" in required["apache-airflow"].specifier
    assert "sagemaker" not in required


def test_plugins_zip_holds_what_the_plugins_folder_holds(dist: Path) -> None:
    names = archive(dist / "mwaa" / "plugins.zip").keys()
    own = {".airflowignore", "sagemaker_pipelines_plugin.py", "sagemaker_pipelines/py.typed"}
    assert names == SOURCES | own


def test_the_mwaa_folder_has_the_dags_with_their_definitions(dist: Path) -> None:
    shipped = {path.relative_to(dist / "mwaa") for path in (dist / "mwaa").rglob("*") if path.is_file()}
    tracked = subprocess.run(
        ["git", "ls-files", "dags"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    expected = {*tracked, "dags/constraints.txt", "plugins.zip", "requirements.txt", "startup.sh"}
    assert expected <= {path.as_posix() for path in shipped}
    assert "dags/.airflowignore" in expected


def test_the_same_sources_give_the_same_bytes(dist: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    shutil.copytree(ROOT / "plugins", tmp_path / "root" / "plugins")
    shutil.copytree(ROOT / "dags", tmp_path / "root" / "dags")
    for name in ("pyproject.toml", "constraints.txt", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path / "root")
    (tmp_path / "root" / "stack").mkdir()
    shutil.copy(ROOT / "stack" / "mwaa_startup.sh", tmp_path / "root" / "stack")
    for path in (tmp_path / "root").rglob("*.py"):
        os.utime(path, (1, 1))
    wheel, mwaa = build(again, root=tmp_path / "root")
    assert wheel.read_bytes() == next(dist.glob("*.whl")).read_bytes()
    assert (mwaa / "plugins.zip").read_bytes() == (dist / "mwaa" / "plugins.zip").read_bytes()


def test_what_an_earlier_build_left_is_replaced(tmp_path: Path) -> None:
    stale = [tmp_path / "airflow_sagemaker_pipelines-0.0.1-py3-none-any.whl", tmp_path / "mwaa" / "old.txt"]
    stale[1].parent.mkdir()
    for path in stale:
        path.write_text("old")
    build_wheel(tmp_path)
    build_mwaa(tmp_path / "mwaa")
    assert not any(path.exists() for path in stale)


def test_mwaa_gets_exact_versions_a_constraints_file_and_no_sdk() -> None:
    constraint, *pinned = mwaa_requirements().splitlines()
    assert constraint == f'--constraint "{MWAA_DAGS}/constraints.txt"'
    assert all("==" in line for line in pinned)
    assert {Requirement(line).name for line in pinned} == {
        "apache-airflow",
        "apache-airflow-providers-amazon",
        "apache-airflow-providers-standard",
        "typer",
    }


def test_a_dependency_that_is_not_locked_fails_the_build(tmp_path: Path) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "constraints.txt").write_text("apache-airflow==3.2.0\n")
    with pytest.raises(PackageError, match=r"apache-airflow>=3\.3 is locked to 3\.2\.0 .* Run `make lock`"):
        mwaa_requirements(tmp_path)


def pretend_airflow(folder: Path, version: str) -> dict[str, str]:
    """Return an environment in which Airflow's metadata tell this version."""
    for name in ("apache-airflow", "apache-airflow-core"):
        info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {"PATH": path, "PYTHONPATH": f"{folder}:{ROOT / 'plugins'}"}


@pytest.mark.parametrize("version", ["2.11.0", "3.0.6", "3.2.2"])
def test_an_older_airflow_is_refused_at_the_import_of_the_package(tmp_path: Path, version: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import sagemaker_pipelines.operators.pipeline"],
        env=pretend_airflow(tmp_path, version),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert f"needs Apache Airflow 3.3 or newer, and {version} is installed" in done.stderr


@pytest.mark.parametrize(("version", "code"), [("3.0.6", 1), ("3.3.0", 0), ("3.10.0", 0), ("4.0.0", 0)])
def test_the_start_up_script_refuses_an_environment_that_is_too_old(
    dist: Path, tmp_path: Path, version: str, code: int
) -> None:
    script = ["bash", str(dist / "mwaa" / "startup.sh")]
    environment = pretend_airflow(tmp_path, version)
    done = subprocess.run(script, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == code
    assert (f"this environment has {version}. Update" in done.stderr) == bool(code)
