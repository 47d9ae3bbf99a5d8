"""Build what is deployed: a wheel of the Airflow package, and the files of an MWAA environment.

::

    dist/airflow_sagemaker_pipelines-<version>-py3-none-any.whl
    dist/mwaa/dags/            the DAG files, their compiled definitions, and constraints.txt
    dist/mwaa/plugins.zip      the Airflow package and its registration, with .airflowignore
    dist/mwaa/requirements.txt without the SageMaker SDK; every version is constrained
    dist/mwaa/startup.sh       refuses an Airflow that is too old

The same sources give the same bytes: an upload changes only when its content does.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from stack.exceptions import PackageError, StackError
from stack.settings import ROOT

# Where MWAA puts the DAGs folder: https://docs.aws.amazon.com/mwaa/latest/userguide/best-practices-dependencies.html
MWAA_DAGS = "/usr/local/airflow/dags"
_NEVER = {"__pycache__", ".DS_Store"}
# The oldest time that a zip file can tell.
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)


def build(dist: Path, *, root: Path = ROOT) -> list[Path]:
    """Build the wheel and the MWAA files; what an earlier build left of them is replaced.

    :param dist: the folder to write to.
    :param root: the checkout.
    :return: the wheel and the ``mwaa`` folder.
    :raises PackageError: the build fails, or a requirement is not locked.
    """
    return [build_wheel(dist, root=root), build_mwaa(dist / "mwaa", root=root)]


def build_wheel(dist: Path, *, root: Path = ROOT) -> Path:
    """Build the wheel of the Airflow package and return its path.

    :raises PackageError: the build backend fails; its output is in the message.
    """
    dist.mkdir(parents=True, exist_ok=True)
    for old in dist.glob("*.whl"):
        old.unlink()
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(dist.resolve())]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PackageError(f"The wheel could not be built:\n{done.stdout}{done.stderr}")
    (wheel,) = dist.glob("*.whl")
    return wheel


def build_mwaa(folder: Path, *, root: Path = ROOT) -> Path:
    """Write the files of an MWAA environment's bucket and return the folder.

    :raises PackageError: a requirement is not locked.
    """
    if folder.exists():
        shutil.rmtree(folder)
    dags = folder / "dags"
    for path in _files(root / "dags"):
        target = dags / path.relative_to(root / "dags")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    shutil.copyfile(root / "constraints.txt", dags / "constraints.txt")
    _write_zip(folder / "plugins.zip", root / "plugins")
    (folder / "requirements.txt").write_text(mwaa_requirements(root), encoding="utf-8")
    shutil.copyfile(root / "stack" / "mwaa_startup.sh", folder / "startup.sh")
    return folder


def mwaa_requirements(root: Path = ROOT) -> str:
    """Return the text of MWAA's ``requirements.txt``: the package's dependencies, as they are locked.

    Airflow's own version is among them, so that no requirement can replace the one that MWAA has.

    :raises PackageError: a dependency is not locked, or its lock does not fit.
    """
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    locked = _locked(root / "constraints.txt")
    lines = [f'--constraint "{MWAA_DAGS}/constraints.txt"']
    for wanted in map(Requirement, project["dependencies"]):
        pinned = locked.get(canonicalize_name(wanted.name))
        if pinned is None or pinned not in wanted.specifier:
            raise PackageError(
                f"{wanted} is locked to {pinned or 'nothing'} in constraints.txt. Run `make lock`."
            )
        extras = f"[{','.join(sorted(wanted.extras))}]" if wanted.extras else ""
        lines.append(f"{wanted.name}{extras}=={pinned}")
    return "\n".join(lines) + "\n"


def _locked(path: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            requirement = Requirement(line)
            (pin,) = requirement.specifier
            found[canonicalize_name(requirement.name)] = pin.version
    return found


def _write_zip(path: Path, folder: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for file in _files(folder):
            info = zipfile.ZipInfo(file.relative_to(folder).as_posix(), _ZIP_TIME)
            info.external_attr = 0o100644 << 16
            info.create_system = 3  # Unix, on whatever system it is built
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, file.read_bytes())


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not _NEVER & set(path.relative_to(folder).parts) and path.suffix != ".pyc":
            yield path


def main() -> int:
    """Build into ``dist/`` and say what was written."""
    try:
        written = build(ROOT / "dist")
    except StackError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for path in written:
        print(path.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
