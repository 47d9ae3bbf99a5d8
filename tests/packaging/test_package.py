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
from packaging.version import Version

from sagemaker_pipelines.compatibility import require_airflow
from sagemaker_pipelines.provider_info import get_provider_info
from stack.exceptions import PackageError
from stack.package import (
    MWAA_AIRFLOW,
    MWAA_DAGS,
    MWAA_PYTHON,
    build,
    build_mwaa,
    build_wheel,
    main,
    resolve,
)
from stack.settings import ROOT
from tests.packaging.installation import AIRFLOWS, PYPROJECT, RESOLUTIONS, uv
from tests.waiting import GENEROUS_SECONDS

PACKAGE = ROOT / "plugins" / "sagemaker_pipelines"
SOURCES = {
    path.relative_to(ROOT / "plugins").as_posix()
    for path in PACKAGE.rglob("*")
    if path.is_file() and path.suffix != ".pyc"
}


pytestmark = pytest.mark.thorough


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    build(folder)
    return folder


def archive(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def wheel_file(dist: Path, name: str, *, name_of: str = "airflow_*.whl") -> str:
    (wheel,) = dist.glob(name_of)
    (body,) = (body for path, body in archive(wheel).items() if path.endswith(f".dist-info/{name}"))
    return body.decode()


def test_the_wheel_has_the_airflow_package_and_nothing_else(dist: Path) -> None:
    (wheel,) = dist.glob("airflow_*.whl")
    code = {name for name in archive(wheel) if ".dist-info/" not in name}
    assert code == SOURCES | {"sagemaker_pipelines_plugin.py"}


@pytest.mark.parametrize(
    ("package", "command"),
    [
        (
            "sagemaker_compile",
            {
                "compile": "sagemaker_compile.cli:compile_command",
                "new": "sagemaker_compile.cli:new_command",
            },
        ),
        ("sagemaker_local_runtime", {"local": "sagemaker_local_runtime.cli:app"}),
    ],
)
def test_each_other_package_is_a_wheel_of_its_own_that_adds_its_command(
    tmp_path: Path, package: str, command: dict[str, str]
) -> None:
    wheel = build_wheel(tmp_path, root=ROOT / package)
    code = {name for name in archive(wheel) if ".dist-info/" not in name}
    tracked = subprocess.run(
        ["git", "ls-files", package], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert code == set(tracked) - {f"{package}/pyproject.toml"}
    entries = ConfigParser()
    entries.read_string(wheel_file(tmp_path, "entry_points.txt", name_of="*.whl"))
    assert dict(entries["sagemaker_pipelines.commands"]) == command


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
    assert names == SOURCES | {".airflowignore", "sagemaker_pipelines_plugin.py"}


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
    for name in ("plugins", "dags", "sagemaker_compile", "sagemaker_local_runtime"):
        shutil.copytree(ROOT / name, tmp_path / "root" / name)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path / "root")
    shutil.copytree(ROOT / "stack" / "mwaa", tmp_path / "root" / "stack" / "mwaa")
    for path in (tmp_path / "root").rglob("*.py"):
        os.utime(path, (1, 1))
    *wheels, mwaa = build(again, root=tmp_path / "root")
    assert {wheel.name: wheel.read_bytes() for wheel in wheels} == {
        wheel.name: wheel.read_bytes() for wheel in dist.glob("*.whl")
    }
    assert (mwaa / "plugins.zip").read_bytes() == (dist / "mwaa" / "plugins.zip").read_bytes()


def test_what_an_earlier_build_left_is_replaced(tmp_path: Path) -> None:
    stale = [tmp_path / "airflow_sagemaker_pipelines-0.0.1-py3-none-any.whl", tmp_path / "mwaa" / "old.txt"]
    stale[1].parent.mkdir()
    for path in stale:
        path.write_text("old")
    build_wheel(tmp_path)
    build_mwaa(tmp_path / "mwaa")
    assert not any(path.exists() for path in stale)


def pins(text: str) -> dict[str, str]:
    """Return the versions in a requirements or constraints file, by name."""
    found = [Requirement(line.removesuffix(" \\")) for line in text.splitlines() if line[:1].isalpha()]
    return {pin.name: next(iter(pin.specifier)).version for pin in found}


def test_mwaa_gets_exact_versions_a_constraints_file_and_no_sdk(dist: Path) -> None:
    requirements = (dist / "mwaa" / "requirements.txt").read_text()
    constraints = (dist / "mwaa" / "dags" / "constraints.txt").read_text()
    assert requirements.splitlines()[0] == f'--constraint "{MWAA_DAGS}/constraints.txt"'
    assert pins(requirements).keys() == {
        "apache-airflow",
        "apache-airflow-providers-amazon",
        "apache-airflow-providers-common-compat",
        "apache-airflow-providers-standard",
        "asgiref",
        "botocore",
        "fastapi",
        "httpx",
        "opentelemetry-api",
        "rich",
        "sqlalchemy",
        "typer",
    }
    assert pins(requirements).items() <= pins(constraints).items()
    assert "sagemaker" not in pins(constraints)
    # pip refuses extras in a constraints file.
    assert "[" not in constraints


def test_mwaa_gets_its_own_airflow_and_the_newest_amazon_provider_that_goes_with_it(dist: Path) -> None:
    found = pins((dist / "mwaa" / "requirements.txt").read_text())
    tested = pins((ROOT / "constraints.txt").read_text())
    amazon = "apache-airflow-providers-amazon"
    assert found["apache-airflow"] == MWAA_AIRFLOW == "3.3.1"
    assert Version(found[amazon]) >= Version(tested[amazon])


def test_nothing_contradicts_what_mwaas_image_holds_fixed(dist: Path) -> None:
    """The image installs each requirements.txt under these constraints too, and nothing if it cannot."""
    found = pins((dist / "mwaa" / "dags" / "constraints.txt").read_text())
    fixed = pins((ROOT / "stack" / "mwaa" / f"{MWAA_AIRFLOW}.txt").read_text())
    both = found.keys() & fixed.keys()
    assert both >= {"apache-airflow", "sqlalchemy", "greenlet"}
    assert {name: found[name] for name in both} == {name: fixed[name] for name in both}


def test_what_mwaas_image_installs_with_every_requirements_txt_goes_with_ours(dist: Path) -> None:
    """The packages that the image adds to each, except for those that a C compiler builds."""
    image = """
        apache-airflow[celery,statsd] apache-airflow-core[gunicorn] celery[sqs] boto3-stubs[logs,sqs]
        apache-airflow-providers-amazon[aiobotocore] apache-airflow-providers-fab
        apache-airflow-providers-postgres apache-airflow-providers-standard
        watchtower fluent-logger virtualenv
    """
    fixed = ["-c", str(ROOT / "stack" / "mwaa" / f"{MWAA_AIRFLOW}.txt")]
    ours = ["-c", str(dist / "mwaa" / "dags" / "constraints.txt")]
    target = ["--python-version", MWAA_PYTHON, "--python-platform", "linux"]
    found = uv("pip", "compile", "-", *fixed, *ours, *target, given="\n".join(image.split()))
    assert pins(found)["apache-airflow"] == MWAA_AIRFLOW


def test_another_version_of_airflow_is_taken_exactly() -> None:
    assert pins(resolve("3.3.0", MWAA_PYTHON))["apache-airflow"] == "3.3.0"


def test_an_airflow_that_the_package_does_not_support_fails_the_build() -> None:
    with pytest.raises(PackageError, match=r"go with Apache Airflow 3\.2\.2 on Python 3\.12:") as caught:
        resolve("3.2.2", MWAA_PYTHON)
    assert "`make package AIRFLOW=3.3.1`" in str(caught.value)


@pytest.mark.parametrize("others", RESOLUTIONS)
@pytest.mark.parametrize("airflow", AIRFLOWS)
@pytest.mark.parametrize("python", ["3.12", "3.13"])
def test_there_are_versions_for_newer_pythons_too(python: str, airflow: str, others: str) -> None:
    target = ["--python-version", python, "--resolution", RESOLUTIONS[others]]
    found = uv("pip", "compile", PYPROJECT, "-", *target, given=f"apache-airflow=={airflow}")
    assert pins(found)["apache-airflow"] == airflow


def pretend_airflow(folder: Path, version: str) -> dict[str, str]:
    """Return an environment in which Airflow's metadata tell this version."""
    for name in ("apache-airflow", "apache-airflow-core"):
        info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {"PATH": path, "PYTHONPATH": f"{folder}:{ROOT / 'plugins'}"}


# MWAA's image reports 3.3.1; a rebuilt one may add a suffix.
ACCEPTED = ["3.3.0", "3.3.1", "3.3.1+amzn", "3.3.1.post1+amzn.2", "3.10.0", "4.0.0"]


@pytest.mark.parametrize("version", ["2.11.0", "3.0.6", "3.2.2"])
def test_an_older_airflow_is_refused_at_the_import_of_the_package(tmp_path: Path, version: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import sagemaker_pipelines.operators.pipeline"],
        env=pretend_airflow(tmp_path, version),
        capture_output=True,
        text=True,
        timeout=GENEROUS_SECONDS,
    )
    assert done.returncode == 1
    assert f"needs Apache Airflow 3.3 or newer, but {version} is installed" in done.stderr


@pytest.mark.parametrize("version", ACCEPTED)
def test_a_new_enough_airflow_is_accepted_at_the_import_of_the_package(
    monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    monkeypatch.setattr("sagemaker_pipelines.compatibility.version", lambda name: version)
    require_airflow()


@pytest.mark.parametrize(("version", "code"), [("3.0.6", 1), ("3.2.2+amzn", 1), *((v, 0) for v in ACCEPTED)])
def test_the_start_up_script_refuses_an_environment_that_is_too_old(
    dist: Path, tmp_path: Path, version: str, code: int
) -> None:
    script = ["bash", str(dist / "mwaa" / "startup.sh")]
    environment = pretend_airflow(tmp_path, version)
    done = subprocess.run(script, env=environment, capture_output=True, text=True, timeout=GENEROUS_SECONDS)
    assert done.returncode == code
    assert (f"this environment has {version}. Update" in done.stderr) == bool(code)


@pytest.mark.parametrize(("airflow", "warned"), [(MWAA_AIRFLOW, False), ("3.3.2", True)])
def test_an_image_whose_fixed_versions_are_unknown_is_warned_about(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], airflow: str, warned: bool
) -> None:
    monkeypatch.setattr("stack.package.build", lambda *arguments, **options: [])
    assert main(["--airflow", airflow]) == 0
    assert (f"stack/mwaa/{airflow}.txt does not exist" in capsys.readouterr().err) == warned
