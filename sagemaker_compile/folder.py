"""The folder of the compiled definitions: write it, or compare it with what would be written."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from sagemaker_compile.exceptions import CompileError
from sagemaker_pipelines.definition import Envelope
from sagemaker_pipelines.definition.files import annotations_path
from sagemaker_pipelines.exceptions import DefinitionError


@dataclass(frozen=True)
class Compiled:
    """A compiled pipeline.

    :param name: the pipeline's name.
    :param envelope: the text of ``<name>.json``.
    :param assets: the content of each asset, by its path in the definitions' folder.
    """

    name: str
    envelope: str
    assets: Mapping[str, bytes]

    @property
    def files(self) -> dict[str, bytes]:
        """The content of every file to write, by its path in the definitions' folder."""
        return {f"{self.name}.json": self.envelope.encode(), **self.assets}


def write(compiled: list[Compiled], target: Path, *, complete: bool) -> list[str]:
    """Write envelopes and assets.

    :param compiled: what to write.
    :param target: the definitions' folder.
    :param complete: whether these are all pipelines; if so, files that belong to none of them are removed.
    :return: the paths in the folder that were written or removed.
    :raise CompileError: if a file to be removed was not written by compiling.
    """
    files = _files(compiled)
    stale = _stale(files, target) if complete else []
    changed = []
    for path, content in files.items():
        file = target / path
        if not file.is_file() or file.read_bytes() != content:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
            changed.append(path)
    for path in stale:
        (target / path).unlink()
        if (target / path).parent != target and not any((target / path).parent.iterdir()):
            (target / path).parent.rmdir()
        changed.append(path)
    return changed


def differences(compiled: list[Compiled], target: Path, *, complete: bool) -> str:
    """Return a unified diff from what is in the folder to what would be written; empty if it is current.

    :param compiled: what would be written.
    :param target: the definitions' folder.
    :param complete: see :func:`write`.
    :raise CompileError: see :func:`write`.
    """
    files = _files(compiled)
    wanted: dict[str, bytes] = {**files, **dict.fromkeys(_stale(files, target) if complete else (), b"")}
    parts: list[str] = []
    for path, content in wanted.items():
        file = target / path
        present = file.read_bytes() if file.is_file() else b""
        if present != content or not file.is_file() or path not in files:
            after = f"compiled/{path}" if path in files else "/dev/null"
            parts.append(_difference(f"committed/{path}", present, after, content))
    return "".join(parts)


def _difference(before: str, present: bytes, after: str, content: bytes) -> str:
    # Like git, which takes what has a null byte for an archive or another binary file.
    if b"\0" in present + content:
        return f"Binary files {before} and {after} differ\n"
    diff = "".join(difflib.unified_diff(_lines(present), _lines(content), before, after))
    return diff or f"--- {before}\n+++ {after}\n"  # an empty file


def _files(compiled: list[Compiled]) -> dict[str, bytes]:
    return {path: content for item in compiled for path, content in item.files.items()}


def _stale(files: Mapping[str, bytes], target: Path) -> list[str]:
    """Return the files in the folder that belong to no pipeline and to no other definition."""
    present = [path for path in target.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    known = {*files, *_others(target)}
    stale = sorted(name for path in present if (name := path.relative_to(target).as_posix()) not in known)
    for name in stale:
        if not _is_compiled(target, name):
            raise CompileError(
                f"{target} holds {name}, expected only compiled definitions and their assets, because files "
                "that belong to no pipeline are removed. Move it away, or name another folder with --out."
            )
    return stale


def _others(target: Path) -> set[str]:
    """Return the files of the definitions in the folder that were adopted, or are plain ones."""
    known = {".airflowignore"}
    for path in target.glob("*.json"):
        try:
            envelope = Envelope.load(path)
        except DefinitionError:
            # Nobody knows what it is, which is reported.
            continue
        if envelope.origin is not None:
            known |= {path.name, annotations_path(path).name, *(asset.path for asset in envelope.assets)}
    return known


def _is_compiled(target: Path, name: str) -> bool:
    """Return whether a file in the folder can be an asset or an envelope."""
    path = PurePosixPath(name)
    if len(path.parts) > 1:
        return len(path.parts) == 3 and path.parts[0] == "assets"
    try:
        # What cannot be read, such as an adopted definition with the marks of a conflict, is never removed.
        return path.suffix == ".json" and Envelope.load(target / path).origin is None
    except DefinitionError:
        return False


def _lines(content: bytes) -> list[str]:
    return content.decode("utf-8", errors="backslashreplace").splitlines(keepends=True)
