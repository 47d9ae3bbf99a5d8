"""Install packages into a layer with uv, which takes what the environment below has for installed.

The runtime calls it to build the layer of a ``requirements.txt``; a job runs it as ``pip`` (see ``pip/``). It
needs the standard library only, as it runs with the interpreter of any image.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

#: Beside pyvenv.cfg: what pip in this layer needs to know.
SETTINGS = "layer.json"
#: Beside it: what the last ``pip install`` of a job said, if it failed.
FAILURE = "failure.txt"
_COMMANDS = ("install", "uninstall", "list", "freeze", "show", "check")
# What pip has and uv does not: about pip itself, its screen or its connections; True takes a value.
_LEFT_OUT = {
    "--user": False,
    "--system": False,
    "--no-cache-dir": False,
    "--no-input": False,
    "--no-warn-script-location": False,
    "--no-warn-conflicts": False,
    "--prefer-binary": False,
    "--use-pep517": False,
    "--disable-pip-version-check": False,
    "--root-user-action": True,
    "--progress-bar": True,
    "--upgrade-strategy": True,
    "--timeout": True,
    "--default-timeout": True,
    "--retries": True,
}
_RENAMED = {"-I": "--reinstall", "--ignore-installed": "--reinstall"}
# pip's variables, which a job's Environment may set, as uv calls them.
PIP_VARIABLES = {
    "PIP_INDEX_URL": "UV_DEFAULT_INDEX",
    "PIP_EXTRA_INDEX_URL": "UV_INDEX",
    "PIP_FIND_LINKS": "UV_FIND_LINKS",
    "PIP_TRUSTED_HOST": "UV_INSECURE_HOST",
    "PIP_CERT": "SSL_CERT_FILE",
    "PIP_PROXY": "ALL_PROXY",
}
_STUB = "SAGEMAKER_LOCAL_RUNTIME_STUB"


def load(prefix: str) -> dict[str, Any]:
    """Return the settings of the layer with this prefix."""
    document: dict[str, Any] = json.loads((Path(prefix) / SETTINGS).read_text())
    return document


def main(arguments: list[str]) -> int:
    """Run pip's command line on the layer of this interpreter, and return its exit code."""
    settings = load(sys.prefix)
    if settings["refusal"]:
        print(settings["refusal"], file=sys.stderr)
        (Path(sys.prefix) / FAILURE).write_text(settings["refusal"])
        return 1
    command = next((word for word in arguments if not word.startswith("-")), None)
    if command is None and {"-V", "--version"} & set(arguments):
        print(f"pip of the local runtime, by {settings['uv']} (python {sys.version.split()[0]})")
        return 0
    if command not in _COMMANDS:
        print(
            f"pip {command or ''}: the local runtime has no such command in a job. "
            f"It has {', '.join(_COMMANDS)}.",
            file=sys.stderr,
        )
        return 1
    place = arguments.index(command)
    options = [*arguments[:place], *arguments[place + 1 :]]
    site = Path(sysconfig.get_path("purelib"))
    if command == "install" and _take_kept(options, settings):
        return 0
    environment = {**settings["environment"], **_own_variables(dict(os.environ)), **os.environ}
    return run_uv(
        settings["uv"],
        [command, *translated(options)],
        python=Path(sys.executable),
        site=site,
        below=[Path(sys.prefix) / "kept", *map(Path, settings["below"])],
        run=lambda words: (_install if command == "install" else subprocess.call)(words, env=environment),
    )


def run_uv(
    uv: str, arguments: list[str], *, python: Path, site: Path, below: list[Path], run: Callable[..., int]
) -> int:
    """Run ``uv pip`` on a layer, as if it held the packages below it, and return the exit code.

    :param uv: the program.
    :param arguments: a subcommand and its arguments.
    :param python: the layer's interpreter.
    :param site: the layer's packages.
    :param below: the folders of the packages below it.
    :param run: runs a command and returns its exit code.
    """
    words = [uv, "pip", *arguments, "--python", str(python)]
    if arguments[0] == "install":
        # The stand-ins stay, whatever a job upgrades.
        excluded = site.parent / "excluded.txt"
        excluded.write_text("pip\nuv\n")
        words += ["--excludes", str(excluded)]
    with (site.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with _below_as_installed(site, below):
            return run(words)


def summary(lines: list[str]) -> str:
    """Return the end of what a failed uv has written, on one line."""
    return " ".join(" ".join(lines[-12:]).split())[-700:]


def translated(options: list[str]) -> list[str]:
    """Return pip's options as uv's."""
    words, skip = [], False
    for option in options:
        name, equals, _ = option.partition("=")
        if skip:
            skip = False
        elif name in _LEFT_OUT:
            skip = _LEFT_OUT[name] and not equals
        else:
            words.append(_RENAMED.get(option, option))
    return words


def digest(path: Path) -> str:
    """Return the name of the kept layer of a requirements file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _install(words: list[str], env: dict[str, str]) -> int:
    """Run uv, pass on what it writes, and keep the end of it if it fails: its caller's traceback follows."""
    failure = Path(sys.prefix) / FAILURE
    failure.unlink(missing_ok=True)
    lines: list[str] = []
    with subprocess.Popen(words, env=env, stderr=subprocess.PIPE, text=True, errors="replace") as process:
        assert process.stderr is not None
        for line in process.stderr:
            sys.stderr.write(line)
            sys.stderr.flush()
            lines.append(line)
    if process.returncode:
        failure.write_text(summary(lines))
    return process.returncode


def _take_kept(options: list[str], settings: dict[str, Any]) -> bool:
    """Take the kept layer of a requirements file, if exactly this file is to be installed and it has one."""
    words = [word for word in translated(options) if word not in ("-q", "--quiet")]
    if len(words) != 2 or words[0] not in ("-r", "--requirement", "--requirements"):
        return False
    path = Path(words[1])
    kept = settings["kept"].get(digest(path)) if path.is_file() else None
    if kept is None:
        return False
    import runpy

    venv = runpy.run_path(str(Path(__file__).resolve().with_name("venv.py")))
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    source, target = venv["Layer"](Path(kept), version), venv["Layer"](Path(sys.prefix), version)
    if not venv["take_kept_layer"](source, target, sys.executable):
        return False
    print(f"The packages of {path} are taken from {kept}, where an earlier job installed them.")
    return True


def _own_variables(environment: dict[str, str]) -> dict[str, str]:
    return {
        theirs: environment[ours]
        for ours, theirs in PIP_VARIABLES.items()
        if ours in environment and theirs not in environment
    }


@contextmanager
def _below_as_installed(site: Path, below: list[Path]) -> Iterator[None]:
    """Show uv the packages below as part of the layer, for as long as it runs.

    uv looks into one folder only. A stub is a ``.dist-info`` without the package: uv keeps it if it satisfies
    what is asked for, and replaces it by the package of another version in the layer if it does not.
    """
    seen = {_project(entry.name) for entry in site.iterdir() if entry.name.endswith(".dist-info")}
    stubs = []
    try:
        for folder in below:
            for info in folder.glob("*.dist-info"):
                if _project(info.name) not in seen and (info / "METADATA").is_file():
                    seen.add(_project(info.name))
                    stubs.append(_make_stub(site / info.name, info))
        yield
    finally:
        for stub in stubs:
            if (stub / _STUB).exists():
                shutil.rmtree(stub)


def _make_stub(stub: Path, info: Path) -> Path:
    stub.mkdir()
    (stub / "METADATA").symlink_to(info / "METADATA")
    (stub / _STUB).touch()
    names = ["METADATA", "RECORD", _STUB]
    if (info / "WHEEL").is_file():
        (stub / "WHEEL").symlink_to(info / "WHEEL")
        names.append("WHEEL")
    (stub / "RECORD").write_text("".join(f"{stub.name}/{name},,\n" for name in names))
    return stub


def _project(info: str) -> str:
    return re.sub(r"[-_.]+", "-", info.partition("-")[0]).lower()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
