"""The interpreter and packages of one job: a layer over the environment of its image."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from sagemaker_local_runtime.exceptions import EnvironmentBuildError, JobFailedError
from sagemaker_local_runtime.images.catalog import LocalImage
from sagemaker_local_runtime.images.environments import Environments
from sagemaker_local_runtime.images.layer import installer
from sagemaker_local_runtime.images.layer.venv import Interpreter, Layer, create_layer, take_kept_layer
from sagemaker_local_runtime.images.preparation import build_failure
from sagemaker_local_runtime.jobs.archives import members
from sagemaker_local_runtime.jobs.sandbox import JobFolder, Sandbox
from sagemaker_local_runtime.jobs.untrusted import read_file

_REQUIREMENTS = "requirements.txt"
_LONGEST_FAILURE = 1000
REFUSAL = (
    "Packages are not installed in jobs, because the local runtime was started with --no-packages. "
    "Start it without that option, or list the packages in the `requirements` of the image in images.toml."
)


class Packages:
    """Give a job the environment of its image, and let it add packages to a layer of its own.

    :param environments: builds and keeps the environments.
    :param allowed: whether jobs may add packages at all.
    """

    def __init__(self, environments: Environments, *, allowed: bool) -> None:
        self.environments, self.allowed = environments, allowed

    def open(
        self, folder: JobFolder, sandbox: Sandbox, report: Callable[[str], None], check: Callable[[], None]
    ) -> JobPackages:
        """Return the packages of one job, which has no image yet.

        :param report: adds a line to the job's log.
        :param check: raises if the job was stopped.
        """
        return JobPackages(self, folder, sandbox, report, check)


class JobPackages:
    """The packages of one job; see :meth:`Packages.open`."""

    def __init__(
        self,
        packages: Packages,
        folder: JobFolder,
        sandbox: Sandbox,
        report: Callable[[str], None],
        check: Callable[[], None],
    ) -> None:
        self._environments, self._allowed = packages.environments, packages.allowed
        self._folder, self._sandbox = folder, sandbox
        self._report, self._check = report, check
        self._below: Interpreter | None = None
        self._layer: Layer | None = None
        self._kept: dict[str, str] = {}
        self._differences = ""

    @property
    def notes(self) -> str:
        """What to add to the reason of a failure: that pip failed, and what differs from AWS's image."""
        written = read_file(self._layer.folder / installer.FAILURE, _LONGEST_FAILURE) if self._layer else None
        failure = (written or b"").decode("utf-8", "replace").strip()
        return (f" (pip install failed: {failure})" if failure else "") + self._differences

    @property
    def programs(self) -> list[str]:
        """The folders of the job's own programs, for its PATH, as the job sees them."""
        assert self._below is not None
        return [f"{self._sandbox.layer_path(self._folder)}/bin", str(self._below.python.parent)]

    def use(self, image: LocalImage) -> None:
        """Take the environment of an image, after building it if necessary, and put an empty layer over it.

        :raises JobFailedError: it cannot be built; the message says what is missing and how to get it.
        """
        try:
            self._below = self._environments.get(image.specification, self._report, self._check)
        except EnvironmentBuildError as error:
            raise JobFailedError(f"ClientError: {build_failure(image, error)}") from error
        self._describe(image, self._below)
        shutil.rmtree(self._folder.layer, ignore_errors=True)
        self._layer = create_layer(self._folder.layer, self._below)
        self._kept = {}
        self._write_settings()

    def require(self, folder: Path) -> None:
        """Install the ``requirements.txt`` of a folder, as the images' toolkits do before they run a script.

        :raises JobFailedError: a package cannot be installed.
        """
        path = folder / _REQUIREMENTS
        if not path.is_file():
            return
        self._refuse_unless_allowed(_REQUIREMENTS)
        assert self._layer is not None
        assert self._below is not None
        try:
            kept = self._environments.layer(self._below, path, self._report, self._check)
            python = f"{self._sandbox.layer_path(self._folder)}/bin/python3"
            if kept is None or not take_kept_layer(kept, self._layer, python):
                arguments = ["-r", str(path)]
                self._environments.install(self._layer, self._below, arguments, self._report, self._check)
        except EnvironmentBuildError as error:
            raise JobFailedError(f"AlgorithmError: InstallRequirementsError: {error}") from error

    def offer(self, folder: Path) -> None:
        """Install the ``requirements.txt`` of a folder or its archive aside, for when the job asks for it.

        A script of the SDK, or the job's own, calls ``pip install -r requirements.txt``; until then, the job
        has no more packages than in AWS's container.

        :raises JobFailedError: packages are not allowed.
        """
        for name, content in _requirements_in(folder):
            self._refuse_unless_allowed(name)
            assert self._below is not None
            path = self._folder.path / _REQUIREMENTS
            path.write_bytes(content)
            try:
                kept = self._environments.layer(self._below, path, self._report, self._check)
            except EnvironmentBuildError:
                continue  # pip says why, in the job that asks for it
            if kept is not None:
                self._kept[installer.digest(path)] = str(kept.folder)
                self._write_settings()

    def _refuse_unless_allowed(self, name: str) -> None:
        if not self._allowed:
            raise JobFailedError(f"ClientError: {name} in the job's source is refused. {REFUSAL}")

    def _write_settings(self) -> None:
        """Write what pip in the layer needs to know."""
        assert self._layer is not None
        assert self._below is not None
        refusal, uv, environment = (None if self._allowed else f"pip is refused. {REFUSAL}"), "", {}
        try:
            uv, environment = self._environments.uv, self._environments.variables
        except EnvironmentBuildError as error:
            refusal = str(error)
        document = {
            "uv": uv,
            "refusal": refusal,
            "below": [str(site) for site in self._below.sites],
            # The layer is on another mount than uv's cache, so files cannot be hard links there.
            "environment": {**environment, "UV_LINK_MODE": "symlink"},
            "kept": self._kept,
        }
        (self._layer.folder / installer.SETTINGS).write_text(json.dumps(document))

    def _describe(self, image: LocalImage, found: Interpreter) -> None:
        """Note which versions run in place of those of the image."""
        if image.specification is None:
            return
        asked = image.asked
        versions = self._environments.versions(image.specification, found, list(asked))
        words = [
            f"{name} {version}" + ("" if version == asked[name] else f" (the image has {asked[name]})")
            for name, version in versions.items()
        ]
        self._report(
            f"{image.name.repository}:{image.name.tag} runs on Python {found.version}, {', '.join(words)}."
        )
        other = [word for word in words if word.endswith(")")]
        self._differences = f" (run with {', '.join(other)})" if other else ""


def _requirements_in(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the ``requirements.txt`` in a folder, and in the archive of source in it, with its name."""
    path, archive = folder / _REQUIREMENTS, folder / "sourcedir.tar.gz"
    if path.is_file():
        yield path.name, path.read_bytes()
    if archive.is_file():
        for member, content in members(archive):
            if member.name.removeprefix("./") == _REQUIREMENTS and content is not None:
                yield f"{archive.name}:{member.name}", content.read()
