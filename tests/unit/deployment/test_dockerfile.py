"""The Dockerfile and the requirements that its images are built from."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib.metadata import distribution, packages_distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from stack.settings import ROOT
from tests.waiting import GENEROUS_SECONDS

DOCKERFILE = ROOT / "Dockerfile"
TEXT = DOCKERFILE.read_text()


def requirements(name: str) -> dict[str, Requirement]:
    lines = [
        line.removesuffix(" \\") for line in (ROOT / name).read_text().splitlines() if line[:1].isalnum()
    ]
    return {canonicalize_name(found.name): found for found in map(Requirement, lines)}


def closure(roots: list[Requirement]) -> set[str]:
    """Return the names of all distributions that these requirements bring, as installed here."""
    seen: set[tuple[str, str]] = set()
    waiting = [(canonicalize_name(r.name), extra) for r in roots for extra in ("", *r.extras)]
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        for needed in map(Requirement, distribution(name).requires or ()):
            if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                waiting += [(canonicalize_name(needed.name), wanted) for wanted in ("", *needed.extras)]
    return {name for name, _ in seen}


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def test_hadolint_finds_nothing() -> None:
    linter = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([linter, DOCKERFILE], capture_output=True, text=True, timeout=GENEROUS_SECONDS)
    assert (done.returncode, done.stdout) == (0, "")


def test_hadolint_would_refuse_an_unpinned_base(tmp_path: Path) -> None:
    wrong = tmp_path / "Dockerfile"
    wrong.write_text(re.sub(r"FROM python:\S+", "FROM python:latest", TEXT))
    linter = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([linter, wrong], capture_output=True, text=True, timeout=GENEROUS_SECONDS)
    assert "DL3007" in done.stdout


def test_the_base_image_has_the_locked_airflow_and_the_projects_python() -> None:
    locked = requirements("requirements.txt")["apache-airflow"].specifier
    assert f"FROM apache/airflow:slim-{str(locked).removeprefix('==')}-python3.11 AS airflow" in TEXT
    assert re.search(r"^FROM python:3\.11\.\d+-slim-\w+ AS local-runtime$", TEXT, re.MULTILINE)


def test_the_local_runtimes_image_has_no_python_with_a_known_fault_of_tarfile() -> None:
    """3.11.18 mends CVE-2026-114583, the last one: https://docs.python.org/3.11/whatsnew/changelog.html."""
    (patch,) = re.findall(r"^FROM python:3\.11\.(\d+)-", TEXT, re.MULTILINE)
    assert int(patch) >= 18


def test_each_image_ends_as_an_ordinary_user() -> None:
    for stage in re.split(r"^FROM ", TEXT, flags=re.MULTILINE)[1:]:
        assert re.findall(r"^USER (\S+)$", stage, re.MULTILINE)[-1] == "50000"


def test_whatever_is_copied_or_mounted_exists_and_is_sent_to_the_build() -> None:
    sources = re.findall(r"^COPY (?:--\S+ )*(\S+) \S+$", TEXT, re.MULTILINE)
    sources += re.findall(r"source=([^,\s]+)", TEXT)
    sent = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for source in sources:
        assert (ROOT / source).exists(), source
        path = Path(source)
        assert any(candidate.match(pattern) for candidate in (path, *path.parents) for pattern in sent), (
            source
        )


def test_the_cluster_installs_what_the_laptop_has_without_the_sdk() -> None:
    cluster, laptop = requirements("requirements-cluster.txt"), requirements("requirements.txt")
    for name in cluster.keys() & laptop.keys():
        assert cluster[name] == laptop[name]
    assert {name for name in laptop if name.startswith("apache-airflow")} <= cluster.keys()
    assert "sagemaker" not in closure(list(cluster.values()))


def test_everything_that_is_installed_is_locked_with_its_hashes() -> None:
    locked = requirements("constraints.txt")
    for path in ROOT.glob("requirements*.txt"):
        for wanted in requirements(path.name).values():
            found = locked[canonicalize_name(wanted.name)]
            assert found.specifier == wanted.specifier, f"{path.name}: {wanted}; run `make lock`"
    assert closure(list(requirements("requirements-cluster.txt").values())) <= locked.keys()


def test_the_local_runtimes_image_has_every_package_that_its_code_imports() -> None:
    (shared,) = re.findall(r"grep -E '\^\(([\w|]+)\)==' /tmp/requirements\.txt", TEXT)
    roots = requirements("requirements-local.txt") | {
        name: requirements("requirements.txt")[name] for name in shared.split("|")
    }
    installed = closure(list(roots.values()))
    # A pytest plugin, which no container loads, and a program of an image that brings torch itself.
    elsewhere = {"testing.py", "pytorch.py"}
    files = [path for path in (ROOT / "sagemaker_local_runtime").rglob("*.py") if path.name not in elsewhere]
    files += [ROOT / "stack" / name for name in ("bootstrap.py", "settings.py", "exceptions.py")]
    files += (ROOT / "plugins" / "sagemaker_pipelines" / "definition").rglob("*.py")
    imported = set().union(*map(imports, files)) - sys.stdlib_module_names
    own = {"sagemaker_local_runtime", "sagemaker_pipelines", "stack", "sagemaker_local_endpoint"}
    providers = packages_distributions()
    for module in imported - own:
        names = {canonicalize_name(name) for name in providers[module]}
        assert names & installed, f"{module} of {names} is not in the image"
