"""Find the pipelines: every folder with a ``pipeline.py`` in a folder of sources."""

from __future__ import annotations

import ast
import importlib
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from sagemaker_compile.exceptions import CompileError, UnknownPipelineError


@dataclass(frozen=True)
class Source:
    """A pipeline's sources.

    :param name: the pipeline's name: that of its folder, with hyphens for underscores.
    :param description: the first paragraph of the docstring of its ``pipeline.py``; may be empty.
    :param folder: the folder, an absolute path.
    """

    name: str
    description: str
    folder: Path

    @property
    def module(self) -> str:
        """The module that defines ``build(session)``, such as ``pipeline_src.abalone.pipeline``."""
        return f"{self.folder.parent.name}.{self.folder.name}.pipeline"

    def load(self) -> ModuleType:
        """Import the module; the folder that contains the sources' folder is put on the path for it.

        :raise CompileError: if another package has the name of the sources' folder.
        """
        sources = self.folder.parent
        if str(sources.parent) not in sys.path:
            sys.path.insert(0, str(sources.parent))
        package = importlib.import_module(sources.name)
        if sources not in {Path(path).resolve() for path in getattr(package, "__path__", ())}:
            raise CompileError(
                f"{sources.name} is {package.__spec__.origin if package.__spec__ else package}, expected "
                f"{sources}: add an __init__.py to this folder, or give it a name that no other module has."
            )
        return importlib.import_module(self.module)

    def annotations(self) -> dict[str, Any]:
        """Return what ``parameters.toml`` says about the parameters; empty if the file does not exist.

        :raise CompileError: if it is not TOML.
        """
        import tomllib  # not in Python 3.9, on which the rest of this module runs, too

        path = self.folder / "parameters.toml"
        try:
            return tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except tomllib.TOMLDecodeError as error:
            raise CompileError(f"{path} is not TOML: {error}.") from error


def find_sources(folder: Path) -> dict[str, Source]:
    """Return the pipelines of a folder by name, sorted.

    :raise CompileError: if a ``pipeline.py`` is not Python.
    """
    found = {}
    for path in sorted(folder.resolve().glob("*/pipeline.py")):
        name = path.parent.name.replace("_", "-")
        found[name] = Source(name, _description(path), path.parent)
    return found


def select_sources(folder: Path, names: list[str]) -> list[Source]:
    """Return the named pipelines of a folder, or all of them.

    :raise UnknownPipelineError: if one of them does not exist, or the folder has no pipeline at all.
    """
    sources = find_sources(folder)
    if not sources:
        raise UnknownPipelineError(
            f"There is no pipeline in {folder}, expected folders with a pipeline.py. "
            "Name the right folder with --sources."
        )
    unknown = [name for name in names if name not in sources]
    if unknown:
        raise UnknownPipelineError(
            f"No pipeline {', '.join(unknown)}: {folder} has {', '.join(sources)}. "
            "Correct the name, or add a folder with a pipeline.py."
        )
    return [sources[name] for name in names or sources]


def _description(path: Path) -> str:
    """Read the docstring without importing the SDK."""
    try:
        docstring = ast.get_docstring(ast.parse(path.read_bytes(), str(path)))
    except (OSError, SyntaxError, ValueError) as error:
        raise CompileError(f"{path} cannot be read: {error}. Correct it, or move it away.") from error
    return " ".join((docstring or "").split("\n\n", 1)[0].split())
