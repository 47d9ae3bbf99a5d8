"""The Python environments of images: built by uv once for each content, kept, and shared by all runtimes.

``<cache>/envs/<hash>`` is an environment, ``<cache>/layers/<hash>`` what a ``requirements.txt`` adds to one.
Each is built in a folder of another name and renamed when it is complete, under a lock that other processes
respect, so that a reader never sees half of one.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import json
import os
import re
import shutil
import site
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from sagemaker_local_runtime.exceptions import EnvironmentBuildError
from sagemaker_local_runtime.images.index import uv_environment
from sagemaker_local_runtime.images.layer import installer
from sagemaker_local_runtime.images.layer.venv import Interpreter, Layer, create_layer

#: Called with each line of progress.
Report = Callable[[str], None]
#: Called while a build waits, and raises what shall end it.
Check = Callable[[], None]

_POLL_SECONDS = 0.1
_VERSIONS = "versions.json"
# To be changed with what a layer consists of, so that those kept by earlier versions are built again.
_LAYOUT = "2"
_NAME = re.compile(r"^\s*([A-Za-z0-9][\w.-]*)")
# What names another file or folder: the bytes of the requirements do not say all.
_REFERS = re.compile(r"^\s*(-r|-c|-e|--requirement|--constraint|--editable|[./]|.*\bfile:)", re.MULTILINE)


@dataclass(frozen=True)
class Specification:
    """What an environment is built from.

    :param requirements: its packages, as in a requirements file.
    :param python: the version of its interpreter, or None for the runtime's own.
    :param nearest: take the lowest version that satisfies each requirement and has a wheel for this Python,
        instead of the highest version.
    :param exclude: packages that others depend on and that are left out.
    """

    requirements: tuple[str, ...]
    python: str | None = None
    nearest: bool = False
    exclude: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The name of its folder: a hash of everything that decides what is installed."""
        python = self.python or f"{sys.implementation.cache_tag} {sys.base_prefix}"
        content = [python, sys.platform, os.uname().machine, self.requirements, self.nearest, self.exclude]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]


class Environments:
    """Build and find environments.

    :param cache: the folder that keeps them, outside of every data directory.
    """

    def __init__(self, cache: Path) -> None:
        self.cache = cache

    @cached_property
    def uv(self) -> str:
        """The program uv, a dependency of the local runtime.

        :raises EnvironmentBuildError: it is not installed.
        """
        try:
            from uv import find_uv_bin

            return str(find_uv_bin())
        except (ImportError, FileNotFoundError) as error:
            raise EnvironmentBuildError(
                f"uv, which builds the environments of images, is not installed ({error}). "
                f"Install the local runtime's requirements: {sys.executable} -m pip install uv."
            ) from error

    @cached_property
    def variables(self) -> dict[str, str]:
        """The variables of uv: its index and its cache, which lies beside the environments to link from."""
        return {"UV_CACHE_DIR": str(self.cache / "uv"), **uv_environment(), "UV_PYTHON_DOWNLOADS": "never"}

    @cached_property
    def own(self) -> Interpreter:
        """The environment of the runtime itself."""
        folders = [*([site.getusersitepackages()] if site.ENABLE_USER_SITE else []), *site.getsitepackages()]
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        return Interpreter(Path(sys.executable), version, tuple(Path(folder) for folder in folders))

    def find(self, wanted: Specification | None) -> Interpreter | None:
        """Return an environment if it is there; None as a specification is the runtime's own."""
        return self.own if wanted is None else _interpreter(self.cache / "envs" / wanted.key)

    def get(self, wanted: Specification | None, report: Report, check: Check) -> Interpreter:
        """Return an environment, and build it first if it is not there.

        :raises EnvironmentBuildError: it cannot be built.
        """
        if wanted is None:
            return self.own
        found = self.find(wanted)
        if found is None:
            with self._building(self.cache / "envs" / wanted.key, report, check) as temporary:
                if temporary is not None:
                    report(f"Building an environment with {', '.join(wanted.requirements) or 'no packages'}.")
                    self._build(wanted, temporary, report, check)
            found = self.find(wanted)
        assert found is not None
        return found

    def layer(self, below: Interpreter, requirements: Path, report: Report, check: Check) -> Layer | None:
        """Return the kept layer of a requirements file over an environment, and build it if necessary.

        :return: None if the file refers to other files, so that its content does not say what it installs.
        :raises EnvironmentBuildError: it cannot be installed.
        """
        if _REFERS.search(requirements.read_text(errors="replace")):
            return None
        # The runtime's own environment has the same path whatever is installed into it.
        state = [f"{path} {path.stat().st_mtime_ns}" for path in below.sites if path.is_dir()]
        content = "\n".join([_LAYOUT, str(below.python), *state, installer.digest(requirements)])
        folder = self.cache / "layers" / hashlib.sha256(content.encode()).hexdigest()[:32]
        if not folder.is_dir():
            with self._building(folder, report, check) as temporary:
                if temporary is not None:
                    layer = create_layer(temporary, below)
                    self.install(layer, below, ["-r", str(requirements)], report, check)
        return Layer(folder, below.version)

    def install(
        self, layer: Layer, below: Interpreter, arguments: Sequence[str], report: Report, check: Check
    ) -> None:
        """Install packages into a layer.

        :param arguments: as for ``pip install``.
        :raises EnvironmentBuildError: uv failed.
        """

        def run(words: list[str]) -> int:
            self._run(words, report, check)
            return 0

        words = ["install", "--compile-bytecode", *arguments]
        python, folders = layer.bin / "python3", [layer.kept, *below.sites]
        installer.run_uv(self.uv, words, python=python, site=layer.site, below=folders, run=run)

    def versions(
        self, wanted: Specification | None, found: Interpreter, names: Sequence[str]
    ) -> dict[str, str]:
        """Return the versions of packages in an environment; those that it does not have are left out."""
        if wanted is not None:
            kept: dict[str, str] = json.loads((found.python.parents[1] / _VERSIONS).read_text())
            return {name: kept[name] for name in names if name in kept}
        return _versions(found, names)

    def _build(self, wanted: Specification, folder: Path, report: Report, check: Check) -> None:
        python = wanted.python or str(Path(sys.executable).resolve())
        self._run(
            [self.uv, "venv", "--quiet", "--relocatable", "--python", python, str(folder)], report, check
        )
        words = [self.uv, "pip", "install", "--compile-bytecode", "--python", str(folder / "bin" / "python")]
        if wanted.nearest:
            words += ["--resolution", "lowest-direct", "--only-binary", ":all:"]
        if wanted.exclude:
            excluded = folder / "excluded.txt"
            excluded.write_text("\n".join(wanted.exclude))
            words += ["--excludes", str(excluded)]
        if wanted.requirements:
            listed = folder / "requirements.txt"
            listed.write_text("\n".join(wanted.requirements))
            self._run([*words, "-r", str(listed)], report, check)
        built = _interpreter(folder, complete=False)
        assert built is not None
        names = [match[1] for line in wanted.requirements if (match := _NAME.match(line))]
        (folder / _VERSIONS).write_text(json.dumps(_versions(built, names)))

    @contextmanager
    def _building(self, folder: Path, report: Report, check: Check) -> Iterator[Path | None]:
        """Give the folder to build in, renamed at the end; None if somebody else has built it meanwhile."""
        folder.parent.mkdir(parents=True, exist_ok=True)
        with folder.with_suffix(".lock").open("w") as lock:
            _acquire(lock.fileno(), folder, report, check)
            if folder.is_dir():
                yield None
                return
            for left in folder.parent.glob(f"{folder.name}.*.tmp"):
                shutil.rmtree(left, ignore_errors=True)
            # A name of its own: the uv of a runtime that was killed may still write to its folder.
            temporary = folder.with_suffix(f".{os.getpid()}.tmp")
            try:
                yield temporary
                temporary.rename(folder)
            except BaseException:
                shutil.rmtree(temporary, ignore_errors=True)
                raise

    def _run(self, words: list[str], report: Report, check: Check) -> None:
        """Run uv, passing its lines on, and end it when the check raises."""
        environment = {**os.environ, **self.variables}
        process = subprocess.Popen(
            words,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        assert process.stdout is not None
        lines: list[str] = []
        try:
            with process.stdout as output:
                for line in output:
                    check()
                    lines.append(line.rstrip())
                    report(lines[-1])
            code = process.wait()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        if code:
            raise EnvironmentBuildError(installer.summary(lines))


def _acquire(lock: int, folder: Path, report: Report, check: Check) -> None:
    waited = False
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if not waited:
                report(f"Waiting for {folder.name}, which another job is building.")
            waited = True
            check()
            time.sleep(_POLL_SECONDS)


def _interpreter(folder: Path, *, complete: bool = True) -> Interpreter | None:
    """Return the environment in a folder, or None."""
    if complete and not (folder / _VERSIONS).is_file():
        return None
    found = next((folder / "lib").glob("python*/site-packages"), None)
    if found is None:
        return None
    return Interpreter(folder / "bin" / "python", found.parent.name.removeprefix("python"), (found,))


def _versions(found: Interpreter, names: Sequence[str]) -> dict[str, str]:
    versions = {}
    for name in names:
        distributions = importlib.metadata.distributions(name=name, path=[str(path) for path in found.sites])
        version = next((distribution.version for distribution in distributions), None)
        if version is not None:
            versions[name] = version
    return versions
