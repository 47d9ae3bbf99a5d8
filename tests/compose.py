"""Read ``docker-compose.yaml`` as Compose does: variables filled in, one object for each service.

The tests check the file through this, and run its services' commands as ordinary processes, so that what is
tested is what the file says.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from stack.settings import ROOT

COMPOSE_FILE = ROOT / "docker-compose.yaml"

# $$, ${NAME}, ${NAME:-default} and ${NAME:?message}: the forms that the file uses.
_VARIABLE = re.compile(
    r"\$(?:(?P<escaped>\$)|\{(?P<name>\w+)(?:(?P<operator>:-|:\?)(?P<text>[^}]*))?\}|(?P<bad>))"
)


class ComposeError(ValueError):
    """The Compose file, or an env file of it, cannot be read or lacks a variable."""


@dataclass(frozen=True, kw_only=True)
class Service:
    """One service, ready to be run.

    :param name: its name, which is its host name too.
    :param command: program and arguments.
    :param environment: what ``env_file`` and ``environment`` set, as text.
    :param healthcheck: the test's program and arguments; empty without one.
    :param depends_on: for each service that is waited for, the condition.
    :param raw: everything else, as in the file after interpolation.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    healthcheck: tuple[str, ...]
    depends_on: Mapping[str, str]
    raw: Mapping[str, Any]


def variables(path: Path = COMPOSE_FILE) -> dict[str, str | None]:
    """Return the variables that the file reads, with their defaults; None for those that must be given."""
    found: dict[str, str | None] = {}
    for match in _VARIABLE.finditer(_without_comments(path)):
        if match["name"]:
            found[match["name"]] = match["text"] if match["operator"] == ":-" else None
    return found


def services(values: Mapping[str, str], path: Path = COMPOSE_FILE) -> dict[str, Service]:
    """Return every service of the file, those of profiles included.

    :param values: values of the variables, as from ``.env``.
    :param path: the Compose file.
    :raises ComposeError: a required variable has no value, or the file uses a form that is not read here.
    """
    document = interpolate(yaml.safe_load(path.read_text(encoding="utf-8")), values)
    return {name: _service(name, raw, path.parent) for name, raw in document["services"].items()}


def interpolate(node: Any, values: Mapping[str, str]) -> Any:
    """Fill in the variables of every text in a YAML document.

    :raises ComposeError: a required variable has no value.
    """
    if isinstance(node, dict):
        return {key: interpolate(value, values) for key, value in node.items()}
    if isinstance(node, list):
        return [interpolate(value, values) for value in node]
    if not isinstance(node, str):
        return node
    return _VARIABLE.sub(lambda match: _value(match, values), node)


def _value(match: re.Match[str], values: Mapping[str, str]) -> str:
    if match["escaped"]:
        return "$"
    name = match["name"]
    if name is None:
        rest = match.string[match.start() : match.start() + 20]
        raise ComposeError(
            f"{rest!r} is no variable; write ${{NAME}}, ${{NAME:-default}} or $$ for a dollar."
        )
    given = values.get(name)
    if given:
        return given
    if match["operator"] == ":-":
        return match["text"]
    raise ComposeError(f"The variable {name} is not set: {match['text'] or 'give it in .env'}.")


def _service(name: str, raw: dict[str, Any], folder: Path) -> Service:
    environment: dict[str, str] = {}
    if "env_file" in raw:
        environment.update(read_env_file(folder / raw["env_file"]))
    environment.update({key: str(value) for key, value in raw.get("environment", {}).items()})
    return Service(
        name=name,
        command=tuple(raw.get("command", ())),
        environment=environment,
        healthcheck=_program(raw.get("healthcheck", {}).get("test", ())),
        depends_on={other: how["condition"] for other, how in raw.get("depends_on", {}).items()},
        raw=raw,
    )


def _program(test: list[str] | tuple[str, ...]) -> tuple[str, ...]:
    """Return a health check as program and arguments, without its CMD or CMD-SHELL."""
    if not test:
        return ()
    kind, *rest = test
    return ("sh", "-c", *rest) if kind == "CMD-SHELL" else tuple(rest)


def read_env_file(path: Path) -> dict[str, str]:
    """Return the variables of an env file: ``NAME=value``, the value as a shell would quote it.

    :raises ComposeError: the file is missing, or a line is no assignment.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ComposeError(f"Cannot read {path}: {error}. Copy {path.name}.example beside it.") from error
    found = {}
    for line in lines:
        if not line.strip() or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        words = shlex.split(value)
        if not equals or len(words) > 1:
            raise ComposeError(f"{path}: {line!r} is no assignment; expected NAME=value or NAME='a value'.")
        found[name] = words[0] if words else ""
    return found


def _without_comments(path: Path) -> str:
    lines = path.read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if not line.lstrip().startswith("#"))
