"""Give a job ``/opt/ml`` and a clean environment without a container.

``namespace``: the job sees its own folder mounted at ``/opt/ml`` and may write to ``/`` without changing
the machine's (Linux with user namespaces, no root needed); the runtime's data directory is hidden and the
interpreter read-only.
``rewrite``: where namespaces are not available, the literal ``/opt/ml`` is replaced in the arguments, the
environment and the staged text files. ``launcher.py`` does what must happen in the job's own process.
"""

from __future__ import annotations

import io
import logging
import marshal
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sagemaker_local_runtime.client_environment import with_python_path
from sagemaker_local_runtime.exceptions import SettingsError
from sagemaker_local_runtime.jobs.archives import members
from sagemaker_local_runtime.settings import Settings

_log = logging.getLogger(__name__)
_LAUNCHER = Path(__file__).with_name("launcher.py")
_PROGRAMS = Path(__file__).parents[1] / "images" / "bin"
CONTAINER_ROOT = "/opt/ml"
_CONTAINER_SCRATCH, _CONTAINER_LAYER = "/opt/scratch", "/opt/layer"
_PASSED_THROUGH = ("OMP_", "OPENBLAS_", "MKL_")
_TEXT_SUFFIXES = {".py", ".sh", ".json", ".txt", ".yaml", ".yml", ".toml", ".cfg", ".ini", ".env", ""}
_LARGEST_TEXT = 4 << 20
_SOURCE_ARCHIVE = "sourcedir.tar.gz"  # unpacked by the scripts themselves


@dataclass(frozen=True)
class JobFolder:
    """The files of one job on this machine.

    :param path: ``<data_dir>/jobs/<kind>/<name>``.
    """

    path: Path

    @property
    def ml(self) -> Path:
        """What the job sees as ``/opt/ml``."""
        return self.path / "ml"

    @property
    def scratch(self) -> Path:
        """The job's home and temporary directory."""
        return self.path / "scratch"

    @property
    def layer(self) -> Path:
        """The job's interpreter and the packages that it adds to those of its image."""
        return self.path / "layer"

    @property
    def root(self) -> Path:
        """What the job sees as ``/``, in addition to the machine's own folders."""
        return self.path / "root"

    @property
    def log(self) -> Path:
        """The job's output, which is kept after the job's end."""
        return self.path / "output.log"

    def host_path(self, container_path: str) -> Path:
        """Return the path on this machine of a path below ``/opt/ml``."""
        return self.ml / Path(os.path.normpath(container_path)).relative_to(CONTAINER_ROOT)

    def remove_all_but_log(self) -> None:
        """Remove everything that only the running job needed."""
        for entry in self.path.iterdir():
            if entry == self.log:
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)


class Sandbox:
    """Prepare the launch of jobs; the isolation that this machine supports is determined once.

    :param settings: the data directory, the memory limit and, unless it should be chosen, the ``isolation``.
    :param endpoint_url: the endpoint for the AWS clients of jobs.
    :raises SettingsError: ``isolation="namespace"`` is requested but not available.
    """

    def __init__(self, settings: Settings, endpoint_url: str) -> None:
        self._settings = settings
        self._endpoint_url = endpoint_url
        self._pid_namespace = False
        self.isolation = self._choose_isolation(settings.isolation)

    @property
    def description(self) -> str:
        """A line about how jobs are isolated, for the start-up message."""
        if self.isolation == "namespace":
            processes = "mount and process" if self._pid_namespace else "mount"
            return f"Jobs are isolated with {processes} namespaces: each sees its own /opt/ml."
        return (
            "Jobs are not isolated by the kernel (no user namespaces here): "
            "the literal /opt/ml is rewritten in their arguments, environment and text files."
        )

    def view(self, folder: JobFolder, text: str) -> str:
        """Return a text with ``/opt/ml`` replaced where it cannot be mounted."""
        return text if self.isolation == "namespace" else text.replace(CONTAINER_ROOT, str(folder.ml))

    def layer_path(self, folder: JobFolder) -> str:
        """Return the path of the job's layer as the job sees it."""
        return _CONTAINER_LAYER if self.isolation == "namespace" else str(folder.layer)

    def adapt(self, folder: JobFolder, staged: Path) -> None:
        """Replace ``/opt/ml`` in staged text files where it cannot be mounted."""
        if self.isolation == "namespace":
            return
        own = os.fsencode(folder.ml)
        for path in [staged] if staged.is_file() else [*staged.rglob("*")]:
            if path.is_symlink() or not path.is_file():
                continue
            if path.name == _SOURCE_ARCHIVE:
                _adapt_archive(path, own)
            elif path.suffix.lower() in _TEXT_SUFFIXES and path.stat().st_size <= _LARGEST_TEXT:
                content = path.read_bytes()
                adapted = _adapted(content, own)
                if adapted != content:
                    path.write_bytes(adapted)

    def prepare(
        self,
        folder: JobFolder,
        command: Sequence[str],
        environment: Mapping[str, str],
        working_directory: str = "/",
        programs: Sequence[str] | None = None,
    ) -> list[str]:
        """Write the launch document of a command and return the arguments that start it.

        :param folder: the job's folder, which exists.
        :param command: the program and its arguments, in container paths.
        :param environment: the environment variables of the container, with container paths.
        :param working_directory: where it starts, as a container path; where the job has no root of its own,
            ``/`` is the scratch folder.
        :param programs: the folders of the job's own programs, which come first on its PATH; by default those
            of the runtime.
        """
        for path in (folder.scratch, folder.ml, folder.layer, folder.root):
            path.mkdir(parents=True, exist_ok=True)
        if self.isolation == "rewrite":
            start = self.view(folder, working_directory) if working_directory != "/" else str(folder.scratch)
        else:
            start = working_directory
        # Unresolved, since the interpreter finds its virtual environment only there.
        programs = programs or [str(Path(sys.executable).parent)]
        variables = {**self._base_environment(folder, programs), **environment}
        # The script may use the SageMaker SDK, which is to call this endpoint, too.
        variables["PYTHONPATH"] = with_python_path(variables.get("PYTHONPATH", ""))
        launch = self._launch(folder) | {
            "command": [self.view(folder, word) for word in command],
            "environment": {name: self.view(folder, value) for name, value in variables.items()},
            "working_directory": start,
        }
        path = folder.path / "launch"
        path.write_bytes(marshal.dumps(launch))
        path.chmod(0o600)
        return [sys.executable, "-I", "-S", "-B", str(_LAUNCHER), str(path)]

    def launch_error(self, folder: JobFolder) -> str | None:
        """Return why the launcher could not start the command, or None."""
        path = folder.path / "launch.error"
        return (path.read_text() or None) if path.exists() else None

    def _launch(self, folder: JobFolder) -> dict[str, Any]:
        namespaces = self.isolation == "namespace"
        data, cache = self._settings.data_dir.resolve(), self._settings.cache.resolve()
        prefix = Path(sys.prefix).resolve()
        memory = self._settings.job_memory_mb
        return {
            "runtime_pid": os.getpid(),
            "namespaces": namespaces,
            "pid_namespace": namespaces and self._pid_namespace,
            "folders": {path.name: str(path.resolve()) for path in (folder.ml, folder.scratch, folder.layer)},
            "root": str(folder.root.resolve()),
            "hidden": [str(data)],
            "shown": [str(path) for path in (prefix, cache) if path.is_relative_to(data) and path.is_dir()],
            # What other jobs have, too, is not changed by one.
            "read_only": [str(prefix), str(cache / "envs"), str(cache / "layers")],
            "memory_bytes": memory << 20 if memory else None,
            "error_file": str(folder.path / "launch.error"),
        }

    def _base_environment(self, folder: JobFolder, programs: Sequence[str]) -> dict[str, str]:
        scratch = _CONTAINER_SCRATCH if self.isolation == "namespace" else str(folder.scratch)
        own, *below = programs
        path = [own, str(_PROGRAMS), *below, "/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"]
        passed = {name: value for name, value in os.environ.items() if name.startswith(_PASSED_THROUGH)}
        return passed | {
            "PATH": os.pathsep.join(path),
            "LANG": "C.UTF-8",
            "HOME": scratch,
            "TMPDIR": scratch,
            "PYTHONUNBUFFERED": "1",
            "AWS_ENDPOINT_URL": self._endpoint_url,
            "AWS_REGION": self._settings.region,
            "AWS_DEFAULT_REGION": self._settings.region,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def _choose_isolation(self, wanted: str | None) -> str:
        if wanted not in (None, "namespace", "rewrite"):
            raise SettingsError(f"isolation is {wanted!r}; expected 'namespace' or 'rewrite'.")
        if wanted == "rewrite":
            return self._check_rewrite()
        self.isolation = "namespace"
        for self._pid_namespace in (True, False):
            reason = self._probe()
            if reason is None:
                return "namespace"
        if wanted == "namespace":
            raise SettingsError(
                f"isolation is 'namespace', which this machine does not allow: {reason}. Use 'rewrite'."
            )
        _log.warning("Jobs cannot have namespaces: %s", reason)
        return self._check_rewrite()

    def _check_rewrite(self) -> str:
        folder = self._settings.data_dir.resolve()
        if CONTAINER_ROOT in str(folder):
            raise SettingsError(
                f"The data directory {folder} contains {CONTAINER_ROOT} in its path. Choose another one."
            )
        return "rewrite"

    def _probe(self) -> str | None:
        """Launch a command that does nothing, and return the error, or None."""
        self._settings.data_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="probe-", dir=self._settings.data_dir.resolve()) as name:
            folder = JobFolder(Path(name))
            arguments = self.prepare(folder, ["test", "-d", CONTAINER_ROOT], {})
            ended = subprocess.run(arguments, capture_output=True, text=True, timeout=30, check=False)
            if ended.returncode == 0:
                return None
            return self.launch_error(folder) or ended.stderr.strip() or f"exit code {ended.returncode}"


def _adapted(content: bytes, own: bytes) -> bytes:
    """Replace ``/opt/ml`` in a text with the job's own folder; binary content is not changed."""
    return content if b"\0" in content else content.replace(CONTAINER_ROOT.encode(), own)


def _adapt_archive(path: Path, own: bytes) -> None:
    """Adapt the text files in an archive of source code."""
    target = path.with_name(f"{path.name}.adapted")
    with tarfile.open(target, "w:gz", compresslevel=1) as adapted:
        for member, content in members(path):
            is_text = Path(member.name).suffix.lower() in _TEXT_SUFFIXES and member.size <= _LARGEST_TEXT
            if content is not None and is_text:
                text = _adapted(content.read(), own)
                member.size, content = len(text), io.BytesIO(text)
            adapted.addfile(member, content)
    target.replace(path)
