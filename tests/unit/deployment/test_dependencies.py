"""What is imported directly is declared as a dependency."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from stack.settings import ROOT

OURS = {
    "sagemaker_pipelines",
    "sagemaker_compile",
    "pipeline_src",
    "sagemaker_local_runtime",
    "stack",
    "tests",
}
# Modules of the checkout, those that step scripts find in their container, and those next to their importer.
OURS |= {"benchmarks", "evaluate", "feature_transform", "sagemaker_local_endpoint"}
OURS |= {"sagemaker_pipelines_plugin", "words"}
# What runs in the environment of another image, with the packages of that image.
ELSEWHERE = {ROOT / "sagemaker_local_runtime" / "images" / "pytorch.py"}
# What needs an extra of the package, which a cluster does not have to install.
OPTIONAL = {ROOT / "plugins" / "sagemaker_pipelines" / "lineage.py"}
OF_THE_CLUSTER = ("requirements-cluster.txt",)
REQUIREMENTS = tuple(sorted(path.name for path in ROOT.glob("requirements*.txt")))


def declared(*files: str) -> set[str]:
    """Return the names of the distributions that a pyproject.toml or requirements files ask for."""
    lines: list[str] = []
    for file in files:
        text = (ROOT / file).read_text(encoding="utf-8")
        if file.endswith(".toml"):
            project = tomllib.loads(text)["project"]
            lines += project["dependencies"]
            for extra in project.get("optional-dependencies", {}).values():
                lines += extra
        else:
            lines += [line for line in text.splitlines() if line and not line.startswith("#")]
    return {canonicalize_name(Requirement(line).name) for line in lines}


def imports(path: Path) -> Iterator[str]:
    """Yield the top-level modules that a file imports, also within functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


by_module = cache(packages_distributions)


def distributions(module: str) -> set[str]:
    # One that is called as the module counts too: `sagemaker` brings its modules in other distributions.
    return {canonicalize_name(name) for name in (module, *by_module().get(module, []))}


@pytest.mark.parametrize(
    ("folder", "files"),
    [
        ("plugins", ("pyproject.toml",)),
        ("plugins", OF_THE_CLUSTER),
        ("dags", ("pyproject.toml",)),
        ("sagemaker_compile", ("sagemaker_compile/pyproject.toml",)),
        ("sagemaker_local_runtime", ("sagemaker_local_runtime/pyproject.toml",)),
        *(
            (folder, REQUIREMENTS)
            for folder in ("plugins", "sagemaker_compile", "pipeline_src", "sagemaker_local_runtime", "stack")
        ),
        *((folder, REQUIREMENTS) for folder in ("benchmarks", "tests")),
    ],
)
def test_every_import_of_a_folder_is_a_declared_dependency(folder: str, files: tuple[str, ...]) -> None:
    known = declared(*files)
    missing: dict[str, str] = {}
    for path in (ROOT / folder).rglob("*.py"):
        # Copies of step scripts, and projects with packages of their own.
        if {"assets", "projects", "template"} & {*path.parts} or path in ELSEWHERE:
            continue
        if path in OPTIONAL and files == OF_THE_CLUSTER:
            continue
        for module in set(imports(path)) - OURS - sys.stdlib_module_names:
            if not distributions(module) & known:
                missing[module] = path.relative_to(ROOT).as_posix()
    assert missing == {}, f"declare them in {' or '.join(files)}"


def test_an_import_within_a_function_counts(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text("import os.path\ndef f():\n    from yaml.nodes import Node\n")
    assert set(imports(tmp_path / "module.py")) == {"os", "yaml"}
    assert "pyyaml" in distributions("yaml")


def test_every_package_of_the_lock_has_the_hashes_of_its_files() -> None:
    blocks = re.split(r"\n(?=\S)", (ROOT / "constraints.txt").read_text().strip())
    assert len(blocks) > 300
    for block in blocks:
        assert re.fullmatch(r"\S+==\S+( ; [^\\]+)?( \\\n    --hash=sha256:[0-9a-f]{64})+", block), block
