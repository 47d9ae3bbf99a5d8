"""Only ``airflow_internals`` touches what Airflow and its providers do not promise to keep."""

from __future__ import annotations

import ast
import inspect
import pkgutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import sagemaker_pipelines

PACKAGE = Path(sagemaker_pipelines.__file__).parent
INTERNALS = PACKAGE / "airflow_internals.py"
MODULES = sorted({*PACKAGE.rglob("*.py"), PACKAGE.parent / "sagemaker_pipelines_plugin.py"} - {INTERNALS})

# What any module may import; a name ending in ".*" stands for all modules below it. See
# https://airflow.apache.org/docs/apache-airflow/stable/public-airflow-interface.html
PUBLIC = {
    "airflow.sdk",  # what its __all__ lists, which Airflow keeps stable for authors of DAGs and operators
    "airflow.sdk.exceptions",  # where the Amazon provider and common.compat take the same exceptions from
    "airflow.exceptions",
    "airflow.configuration",
    "airflow.plugins_manager",  # AirflowPlugin, for plugins
    "airflow.triggers.base",  # BaseTrigger and TriggerEvent, for triggers
    "airflow.providers.*",  # released apart from Airflow, with semantic versions of their own
}


def is_public(module: str) -> bool:
    if any(part.startswith("_") for part in module.split(".")):
        return False
    return module in PUBLIC or any(
        module.startswith(name.removesuffix("*")) for name in PUBLIC if name.endswith("*")
    )


def imports(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the module and the name of every import, those for type checkers included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.module or "", alias.name) for alias in node.names)


def private_names(path: Path) -> tuple[set[str], set[str]]:
    """Return the private attributes that a module reads, and the private names that it defines."""
    read: set[str] = set()
    defined: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute):
            (read if isinstance(node.ctx, ast.Load) else defined).add(node.attr)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            defined.add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            defined.add(node.name)
    return {name for name in read if is_private(name)}, {name for name in defined if is_private(name)}


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE.parent).as_posix())
def test_a_module_imports_only_what_airflow_keeps_stable(path: Path) -> None:
    found = [(module, name) for module, name in imports(path) if module.partition(".")[0] == "airflow"]
    assert [one for one in found if not is_public(one[0])] == []
    assert [name for _, name in found if is_private(name)] == []


def test_what_is_imported_from_the_sdk_is_in_its_list_of_public_names() -> None:
    sdk = import_module("airflow.sdk")
    names = {name for path in MODULES for module, name in imports(path) if module == "airflow.sdk"}
    assert names - set(sdk.__all__) == set()


def test_no_module_reads_a_private_attribute_that_this_package_does_not_define() -> None:
    names = [private_names(path) for path in MODULES]
    own = set().union(*(defined for _, defined in names))
    assert set().union(*(read for read, _ in names)) - own == set()


def test_no_class_overrides_a_private_method_of_airflow() -> None:
    """An override by accident would break Airflow; one on purpose belongs into ``airflow_internals``."""
    found = []
    for info in pkgutil.walk_packages([str(PACKAGE)], "sagemaker_pipelines."):
        if info.name in {f"sagemaker_pipelines.{INTERNALS.stem}", "sagemaker_pipelines.__main__"}:
            continue
        for _, kind in inspect.getmembers(import_module(info.name), inspect.isclass):
            foreign = [base for base in kind.__mro__ if base.__module__.startswith("airflow.")]
            # Airflow keeps values of its own in a class that was used.
            own = [name for name, value in vars(kind).items() if inspect.isroutine(value)]
            for name in own if kind.__module__ == info.name else ():
                if is_private(name):
                    found += [f"{kind.__qualname__}.{name}" for base in foreign if name in vars(base)]
    assert found == []
