"""Declarations of stubs: which function gives the outputs of the steps of a type."""

from __future__ import annotations

import ast
import inspect
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from sagemaker_local_runtime.exceptions import SettingsError

#: Takes a step, and returns its outputs.
StubFunction = Callable[[dict[str, Any]], Mapping[str, Any] | None]
_USAGE = "write FILE.py:FUNCTION, such as stubs.py:run_emr"


@dataclass(frozen=True)
class Stub:
    """A function at the top level of a file.

    :param file: the absolute path of the file.
    :param function: the function's name.
    """

    file: Path
    function: str

    @classmethod
    def read(cls, text: str, folder: Path, where: str) -> Self:
        """Return the stub that a text such as ``stubs.py:run_emr`` names.

        The file is parsed, and not executed.

        :param text: the file and the function.
        :param folder: what the file's path starts from.
        :param where: names the declaration in errors.
        :raises SettingsError: the file or the function does not exist.
        """
        name, colon, function = text.rpartition(":")
        if not colon or not name or not function.isidentifier():
            raise SettingsError(f"{where} is {text!r}; {_USAGE}.")
        file = (folder / name).resolve()
        try:
            body = ast.parse(file.read_bytes()).body
        except (OSError, SyntaxError, ValueError) as error:
            raise SettingsError(f"{where} is {text!r}, but {file} cannot be read: {error}.") from error
        known = sorted(node.name for node in body if isinstance(node, ast.FunctionDef))
        if function not in known:
            raise SettingsError(
                f"{where} is {text!r}, but {file} has no function {function!r} at its top level; it has "
                f"{', '.join(known) or 'none'}."
            )
        return cls(file, function)

    @classmethod
    def of(cls, function: StubFunction, where: str) -> Self:
        """Return the stub of a function of this process, which another process will call.

        :param function: a function at the top level of a file.
        :param where: names the declaration in errors.
        :raises SettingsError: it is another kind of callable.
        """
        file = inspect.getsourcefile(function) if inspect.isfunction(function) else None
        if file is None or function.__qualname__ != function.__name__ or function.__name__ == "<lambda>":
            raise SettingsError(
                f"{where} is {function!r}; expected a function at the top level of a file, because it is "
                "called in a process of its own. Move it there."
            )
        return cls(Path(file).resolve(), function.__name__)

    def __str__(self) -> str:
        return f"{self.file.name}:{self.function}"


def read_stubs(path: Path) -> dict[str, str]:
    """Return the declarations in a ``stubs.toml``, by type of step, with absolute paths.

    :raises SettingsError: it cannot be read, or has another form.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"The stubs file {path} cannot be read: {error}") from error
    declared = document.pop("stubs", None)
    if document or not isinstance(declared, dict) or not all(isinstance(t, str) for t in declared.values()):
        raise SettingsError(
            f"{path} is not a stubs file; expected a table [stubs] with lines such as "
            'EMR = "stubs.py:run_emr", and nothing else.'
        )
    return {kind: str(path.resolve().parent / text) for kind, text in declared.items()}
