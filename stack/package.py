"""Build the files to deploy: a wheel of each distribution, and the files of an MWAA environment.

::

    dist/airflow_sagemaker_pipelines-<version>-py3-none-any.whl
    dist/sagemaker_pipelines_compile-<version>-py3-none-any.whl
    dist/sagemaker_pipelines_local_runtime-<version>-py3-none-any.whl
    dist/mwaa/dags/            the DAG files, their compiled definitions, and constraints.txt
    dist/mwaa/plugins.zip      the Airflow package and its registration, with .airflowignore
    dist/mwaa/requirements.txt without the SageMaker SDK; all versions are constrained
    dist/mwaa/startup.sh       refuses an Airflow that is too old

The same sources give the same bytes, so that an upload changes only if its content does. The versions in
``requirements.txt`` and ``constraints.txt`` are the newest that fit MWAA's Airflow on the day of the build.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from uv import find_uv_bin

from stack.exceptions import PackageError, StackError
from stack.settings import ROOT

# Where MWAA puts the DAGs folder: https://docs.aws.amazon.com/mwaa/latest/userguide/best-practices-dependencies.html
MWAA_DAGS = "/usr/local/airflow/dags"
# The newest Airflow that MWAA offers, and the Python of its images:
# https://docs.aws.amazon.com/mwaa/latest/userguide/airflow-versions.html
MWAA_AIRFLOW = "3.3.1"
MWAA_PYTHON = "3.12"
#: The folder of each distribution: the Airflow package first.
DISTRIBUTIONS = (".", "sagemaker_compile", "sagemaker_local_runtime")
_NEVER = {"__pycache__", ".DS_Store"}
# The oldest time that a zip file can store.
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)


def build(
    dist: Path, *, airflow: str = MWAA_AIRFLOW, python: str = MWAA_PYTHON, root: Path = ROOT
) -> list[Path]:
    """Build the wheels and the MWAA files, and replace those of an earlier build.

    :param dist: the folder to write to.
    :param airflow: the exact version of MWAA's Airflow.
    :param python: the version of MWAA's Python, such as ``3.12``.
    :param root: the checkout.
    :return: the wheels and the ``mwaa`` folder.
    :raises PackageError: the build fails, or no versions fit this Airflow and Python.
    """
    return [
        *(build_wheel(dist, root=root / folder) for folder in DISTRIBUTIONS),
        build_mwaa(dist / "mwaa", airflow=airflow, python=python, root=root),
    ]


def build_wheel(dist: Path, *, root: Path = ROOT) -> Path:
    """Build the wheel of a distribution, by default the Airflow package, and return its path.

    :param dist: the folder to write to; an older wheel of the distribution is removed.
    :param root: the folder of its ``pyproject.toml``.
    :raises PackageError: the build backend fails; the message has its output.
    """
    dist.mkdir(parents=True, exist_ok=True)
    wheels = f"{_project(root)['name'].replace('-', '_')}-*.whl"
    for old in dist.glob(wheels):
        old.unlink()
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(dist.resolve())]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PackageError(f"The wheel could not be built:\n{done.stdout}{done.stderr}")
    (wheel,) = dist.glob(wheels)
    return wheel


def build_mwaa(
    folder: Path, *, airflow: str = MWAA_AIRFLOW, python: str = MWAA_PYTHON, root: Path = ROOT
) -> Path:
    """Write the files of an MWAA environment's bucket and return the folder.

    :param folder: the folder to write; it is replaced.
    :param airflow: see :func:`build`.
    :param python: see :func:`build`.
    :param root: the checkout.
    :raises PackageError: no versions fit this Airflow and Python.
    """
    resolved = resolve(airflow, python, root=root)
    if folder.exists():
        shutil.rmtree(folder)
    dags = folder / "dags"
    for path in _files(root / "dags"):
        target = dags / path.relative_to(root / "dags")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    (dags / "constraints.txt").write_text(resolved, encoding="utf-8")
    _write_zip(folder / "plugins.zip", root / "plugins")
    (folder / "requirements.txt").write_text(mwaa_requirements(resolved, root=root), encoding="utf-8")
    shutil.copyfile(root / "stack" / "mwaa" / "startup.sh", folder / "startup.sh")
    return folder


def resolve(airflow: str, python: str, *, root: Path = ROOT) -> str:
    """Return the newest versions of all dependencies that work with this Airflow and Python.

    They also fit the versions that MWAA's image holds fixed, if ``stack/mwaa/<airflow>.txt`` lists them.
    Airflow's own constraints are not used, because they would keep an old Amazon provider.

    :param airflow: the exact version of Airflow.
    :param python: the version of Python, such as ``3.12``; it need not be installed.
    :param root: the checkout.
    :return: the text of a constraints file.
    :raises PackageError: there are no such versions; the message has the explanation of uv.
    """
    fixed = _fixed_versions(airflow, root)
    command = [find_uv_bin(), "pip", "compile", "--quiet", "--no-annotate", "--no-header", "--strip-extras"]
    command += ["--python-version", python, "--python-platform", "linux"]
    command += ["--constraint", str(fixed)] if fixed.exists() else []
    wanted = "\n".join([*_dependencies(root), f"apache-airflow=={airflow}"])
    done = subprocess.run([*command, "-"], input=wanted, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PackageError(
            f"No versions of the dependencies in pyproject.toml go with Apache Airflow {airflow} on Python "
            f"{python}:\n{done.stderr}Give a version of Airflow that the package supports, as in "
            f"`make package AIRFLOW={MWAA_AIRFLOW}`."
        )
    return done.stdout


def mwaa_requirements(constraints: str, *, root: Path = ROOT) -> str:
    """Return the text of MWAA's ``requirements.txt``: the package's dependencies in their exact versions.

    They include Airflow itself, so that no requirement can replace the version of MWAA.

    :param constraints: what :func:`resolve` returned.
    :param root: the checkout.
    """
    found = {canonicalize_name(pin.name): pin for pin in map(Requirement, constraints.splitlines())}
    lines = [f'--constraint "{MWAA_DAGS}/constraints.txt"']
    for wanted in map(Requirement, _dependencies(root)):
        extras = f"[{','.join(sorted(wanted.extras))}]" if wanted.extras else ""
        lines.append(f"{wanted.name}{extras}{found[canonicalize_name(wanted.name)].specifier}")
    return "\n".join(lines) + "\n"


def _fixed_versions(airflow: str, root: Path) -> Path:
    return root / "stack" / "mwaa" / f"{airflow}.txt"


def _dependencies(root: Path) -> list[str]:
    return list(_project(root)["dependencies"])


def _project(root: Path) -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project


def _write_zip(path: Path, folder: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for file in _files(folder):
            info = zipfile.ZipInfo(file.relative_to(folder).as_posix(), _ZIP_TIME)
            info.external_attr = 0o100644 << 16
            info.create_system = 3  # Unix, whatever system builds it
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, file.read_bytes())


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not _NEVER & set(path.relative_to(folder).parts) and path.suffix != ".pyc":
            yield path


def main(arguments: list[str] | None = None) -> int:
    """Build into ``dist/`` and print what was written.

    :param arguments: the command-line arguments; None takes those of the process.
    """
    parser = argparse.ArgumentParser(prog="python -m stack.package", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--airflow", default=MWAA_AIRFLOW, help="The version of MWAA's Airflow; default: %(default)s."
    )
    airflow = parser.parse_args(arguments).airflow
    try:
        written = build(ROOT / "dist", airflow=airflow)
    except StackError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for path in written:
        print(path.relative_to(ROOT))
    print(f"dist/mwaa is for Apache Airflow {airflow} on Python {MWAA_PYTHON}")
    if not (fixed := _fixed_versions(airflow, ROOT)).exists():
        print(
            f"warning: {fixed.relative_to(ROOT)} does not exist, so that the versions which MWAA's image for "
            f"Airflow {airflow} holds fixed are unknown; MWAA installs nothing if requirements.txt would "
            "change one. Copy the list from the image's repository (docs/deployment.md), and build again.",
            file=sys.stderr,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
