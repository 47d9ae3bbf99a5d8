"""Which environment and programs stand in for which image: the entries of ``images.toml``.

The account and region in an image's URI are ignored; the repository and the tag select the entry. The first
that matches wins, and those of the user come before the built-in ones.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from sagemaker_local_runtime.exceptions import SettingsError, ValidationError
from sagemaker_local_runtime.images import Image, built_in
from sagemaker_local_runtime.images.environments import Specification

BUILT_IN = Path(__file__).with_name("images.toml")
#: The built-in algorithms that have a program, by their names in ``images.toml``.
ALGORITHMS = {"xgboost": "sagemaker_local_runtime.images.xgboost.train"}
#: The programs that load a model and answer the requests of a batch transform job.
INFERENCE = {
    "pytorch": "sagemaker_local_runtime.images.pytorch",
    "script": "sagemaker_local_runtime.images.script",
    "xgboost": "sagemaker_local_runtime.images.xgboost.serve",
}
#: The built-in programs of processing jobs, by their names in ``images.toml``.
PROCESSORS = {"model-monitor": "sagemaker_local_runtime.images.model_monitor.analyze"}
_COMMANDS = ("train", "process", "serve")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What stands in for the images that match.

    :param repository: a regular expression for the whole name of the repository.
    :param tag: a regular expression for the whole tag; its named groups may stand in ``requirements``.
    :param requirements: the packages of its environment, as in a requirements file; None is the environment
        of the local runtime itself, which is never changed.
    :param python: the version of its interpreter, which must be installed; None is the runtime's own.
    :param nearest: see :class:`Specification`.
    :param exclude: see :class:`Specification`.
    :param train: the command of a training job that names no script, in place of the image's entry point.
    :param process: the command of a processing job without ``ContainerEntrypoint``.
    :param processor: the built-in program of a processing job without ``process``, one of :data:`PROCESSORS`.
    :param serve: the command that starts the HTTP server of the image; ``{port}`` is the port to listen on.
    :param algorithm: the built-in algorithm of the image, one of :data:`ALGORITHMS`.
    :param inference: how models are served if there is no ``serve``, one of :data:`INFERENCE`.
    :param folder: replaces ``{folder}`` in the commands: the folder of the file that holds the entry.
    """

    repository: str
    tag: str = ".*"
    requirements: tuple[str, ...] | None = None
    python: str | None = None
    nearest: bool = False
    exclude: tuple[str, ...] = ()
    train: tuple[str, ...] | None = None
    process: tuple[str, ...] | None = None
    processor: str | None = None
    serve: tuple[str, ...] | None = None
    algorithm: str | None = None
    inference: str = "script"
    folder: Path = Path()


@dataclass(frozen=True)
class LocalImage:
    """What stands in for one image.

    :param uri: the image's URI.
    :param name: its repository and tag.
    :param entry: its entry, with the commands and requirements of this tag.
    """

    uri: str
    name: Image
    entry: Entry

    @property
    def specification(self) -> Specification | None:
        """The environment of its own, or None if it is the runtime's."""
        entry = self.entry
        if entry.requirements is None:
            return None
        return Specification(entry.requirements, entry.python, entry.nearest, entry.exclude)

    @property
    def asked(self) -> dict[str, str]:
        """The version that AWS's image has of each package, where the entry says it."""
        pattern = re.compile(r"([\w.-]+)[>=]=([\w.]+)(,!=.*)?")
        found = (pattern.fullmatch(line) for line in self.entry.requirements or ())
        return {match[1]: match[2] for match in found if match}

    @property
    def train_module(self) -> str | None:
        """The module that trains in algorithm mode, or None."""
        return ALGORITHMS[self.entry.algorithm] if self.entry.algorithm else None

    @property
    def process(self) -> tuple[str, ...] | None:
        """The command of a processing job without ``ContainerEntrypoint``, or None."""
        if self.entry.process or not self.entry.processor:
            return self.entry.process
        return tuple(built_in(PROCESSORS[self.entry.processor], "/opt/ml"))

    @property
    def serve_module(self) -> str:
        """The module that loads a model and answers a batch transform job's requests."""
        return INFERENCE[self.entry.inference]


class Catalog:
    """The entries of the user and the built-in ones.

    :param own: the user's ``images.toml``, or None.
    :raises SettingsError: a file cannot be read, or an entry is not valid.
    """

    def __init__(self, own: Path | None = None) -> None:
        self.own: list[Entry] = _load(own) if own else []
        self.built_in = _load(BUILT_IN)

    def add(self, entry: Entry) -> None:
        """Put an entry before all others."""
        self.own.insert(0, entry)

    def find(self, uri: str) -> LocalImage:
        """Return what stands in for an image.

        :param uri: ``<account>.dkr.ecr.<region>.amazonaws.com/<repository>:<tag>``.
        :raises ValidationError: no entry matches.
        """
        repository, tag = split_image(uri)
        for entry in (*self.own, *self.built_in):
            match = re.fullmatch(entry.tag, tag)
            if match and re.fullmatch(entry.repository, repository):
                lines = entry.requirements
                filled = lines and tuple(_filled(line, match.groupdict()) for line in lines)
                return LocalImage(uri, Image(repository, tag), replace(entry, requirements=filled))
        known = sorted({entry.repository for entry in (*self.own, *self.built_in)})
        raise ValidationError(
            f"The image {uri!r} cannot be run: no entry of images.toml stands in for the repository "
            f"{repository!r} with the tag {tag!r}. There are entries for {', '.join(known)}. "
            "Add an [[image]] entry, see docs/local_runtime.md."
        )


def split_image(uri: str) -> tuple[str, str]:
    """Return the repository and the tag of an image: the parts after the registry's host."""
    name, _, tag = uri.partition("@")[0].rpartition("/")[2].partition(":")
    return name, tag


def _filled(line: str, groups: dict[str, str | None]) -> str:
    for name, value in groups.items():
        line = line.replace(f"{{{name}}}", value or "")
    return line


def _load(path: Path) -> list[Entry]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"The images file {path} cannot be read: {error}") from error
    if unknown := sorted(set(document) - {"image"}):
        raise SettingsError(f"{path} has the unknown key {unknown[0]!r}. It consists of [[image]] entries.")
    return [
        read_entry(item, f"{path}, entry {number}", path.resolve().parent)
        for number, item in enumerate(document.get("image", []), 1)
    ]


def read_entry(item: dict[str, Any], where: str, folder: Path) -> Entry:
    """Return a checked entry.

    :param item: its keys, as in ``images.toml``.
    :param where: names the entry in errors.
    :param folder: what ``{folder}`` and the path of a requirements file start from.
    :raises SettingsError: a key is unknown, missing or has a wrong value; the message names it.
    """
    known = {field.name for field in fields(Entry)} - {"folder"}
    if unknown := sorted(set(item) - known):
        raise SettingsError(f"{where}: unknown key {unknown[0]!r}; expected {', '.join(sorted(known))}.")
    if "repository" not in item:
        raise SettingsError(f"{where}: 'repository' is missing. Add the name of the image's repository.")
    values = dict(item)
    for key, value in item.items():
        values[key] = _checked(key, value, where, folder)
    return Entry(**values, folder=folder)


def _checked(key: str, value: Any, where: str, folder: Path) -> Any:
    """Return the value of one key, as an entry holds it."""
    if key == "requirements" and isinstance(value, str):
        return _requirements_file(folder / value, where)
    if key in {"requirements", "exclude", *_COMMANDS}:
        if not isinstance(value, (list, tuple)) or not all(isinstance(word, str) for word in value):
            raise SettingsError(f"{where}: {key} is {value!r}; expected a list of strings.")
        if key in _COMMANDS and not value:
            raise SettingsError(f"{where}: {key} is empty; expected a program and its arguments.")
        return tuple(word.replace("{folder}", str(folder)) for word in value)
    expected: type = bool if key == "nearest" else str
    if not isinstance(value, expected):
        raise SettingsError(f"{where}: {key} is {value!r}; expected a {expected.__name__}.")
    choices = {"algorithm": ALGORITHMS, "inference": INFERENCE, "processor": PROCESSORS}.get(key)
    if choices is not None and value not in choices:
        raise SettingsError(f"{where}: {key} is {value!r}; expected one of {', '.join(sorted(choices))}.")
    if key in {"repository", "tag"}:
        assert isinstance(value, str)
        try:
            re.compile(value)
        except re.error as error:
            raise SettingsError(f"{where}: {key} {value!r} is not a regular expression: {error}.") from error
    return value


def _requirements_file(path: Path, where: str) -> tuple[str, ...]:
    """Return the lines of a requirements file that is part of an image's sources."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise SettingsError(f"{where}: the requirements file cannot be read: {error}") from error
    kept = tuple(line.partition(" #")[0].strip() for line in lines if line.strip() and line.strip()[0] != "#")
    if options := [line for line in kept if line.startswith("-")]:
        raise SettingsError(
            f"{where}: {path} has the option {options[0]!r}; expected one package a line. "
            "Set an index in the configuration of uv or pip."
        )
    return kept
