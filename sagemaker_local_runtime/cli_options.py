"""Options of the command line that are pairs, such as ``--param NAME=VALUE``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sagemaker_local_runtime.exceptions import SettingsError

Stubs = Annotated[
    list[str] | None,
    typer.Option(
        "--stub",
        help="The outputs of steps that are not executed: TYPE=FILE.py:FUNCTION. Also in ./stubs.toml.",
    ),
]


def stubs_of(given: list[str] | None) -> dict[str, str]:
    """Return the declared stubs by type of step: those of ``stubs.toml`` here, and those of the options.

    :raises SettingsError: a declaration has another form.
    """
    from sagemaker_local_runtime.stubs.declaration import read_stubs

    default = Path("stubs.toml")
    declared = read_stubs(default) if default.is_file() else {}
    return declared | dict(pairs(given, "--stub TYPE=FILE.py:FUNCTION"))


def pairs(values: list[str] | None, usage: str) -> list[tuple[str, str]]:
    """Return the two sides of each value; the left side may occur more than once.

    :param usage: the option and its form, for errors.
    :raises SettingsError: a value has no ``=``.
    """
    found = [(name, text) for name, sign, text in (value.partition("=") for value in values or ()) if sign]
    wrong = [value for value in values or () if "=" not in value]
    if wrong:
        raise SettingsError(f"{usage.split()[0]} {wrong[0]!r} has no '='; write {usage}.")
    return found
