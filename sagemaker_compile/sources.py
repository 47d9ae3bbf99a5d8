"""Find the pipelines: every folder of this package that has a ``pipeline.py``."""

from __future__ import annotations

import ast
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sagemaker_compile.exceptions import CompileError, UnknownPipelineError

PACKAGE = "pipeline_src"
ROOT = Path(__file__).parent.parent / PACKAGE


@dataclass(frozen=True)
class Source:
    """A pipeline's sources.

    :param name: the pipeline's name: its folder's, with hyphens for underscores.
    :param module: the module that defines ``build(session)``.
    :param description: the first paragraph of that module's docstring.
    :param folder: where they are.
    """

    name: str
    module: str
    description: str
    folder: Path

    def annotations(self) -> dict[str, Any]:
        """Return what ``parameters.toml`` says of the parameters; nothing where there is no such file.

        :raise CompileError: when it is not TOML.
        """
        path = self.folder / "parameters.toml"
        try:
            return tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except tomllib.TOMLDecodeError as error:
            raise CompileError(f"{path} is not TOML: {error}.") from error


def find_sources() -> dict[str, Source]:
    """Return the pipelines by name, sorted."""
    found = {}
    for path in sorted(ROOT.glob("*/pipeline.py")):
        folder = path.parent.name
        name = folder.replace("_", "-")
        found[name] = Source(name, f"{PACKAGE}.{folder}.pipeline", _description(path), path.parent)
    return found


def select_sources(names: list[str]) -> list[Source]:
    """Return the named pipelines, or all of them.

    :raise UnknownPipelineError: naming those that do not exist.
    """
    sources = find_sources()
    unknown = [name for name in names if name not in sources]
    if unknown:
        raise UnknownPipelineError(
            f"No pipeline {', '.join(unknown)}: pipeline_src has {', '.join(sources)}. "
            "Add a folder with a pipeline.py to define another one."
        )
    return [sources[name] for name in names or sources]


def _description(path: Path) -> str:
    """Read the docstring without importing the SDK."""
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    if not docstring:
        raise CompileError(f"{path} has no docstring: say in its first sentence what the pipeline does.")
    return " ".join(docstring.split("\n\n", 1)[0].split())
