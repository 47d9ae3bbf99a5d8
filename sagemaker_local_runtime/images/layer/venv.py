"""Create a layer: a virtual environment whose modules come before those of the environment below it.

It is made by hand, in a millisecond, and has what ``python -m venv`` makes, without pip.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

_NOTHING = "nothing"
_INTERPRETER = re.compile(rb"/[^'\"]*/bin/python[\d.]*")
#: The stand-ins for pip and uv.
_STAND_INS = Path(__file__).parent


@dataclass(frozen=True)
class Interpreter:
    """An environment that a layer can be put over.

    :param python: its interpreter, as the environment names it.
    :param version: ``"3.11"``.
    :param sites: the folders of its packages, the first wins.
    """

    python: Path
    version: str
    sites: tuple[Path, ...]


@dataclass(frozen=True)
class Layer:
    """A layer on this machine.

    :param folder: its root, ``sys.prefix`` of its interpreter.
    :param version: ``"3.11"``.
    """

    folder: Path
    version: str

    @property
    def bin(self) -> Path:
        """The folder of its programs."""
        return self.folder / "bin"

    @property
    def site(self) -> Path:
        """The folder of its packages."""
        return self.folder / "lib" / f"python{self.version}" / "site-packages"

    @property
    def kept(self) -> Path:
        """A link to the packages of a kept layer, which come after its own packages."""
        return self.folder / "kept"


def create_layer(folder: Path, below: Interpreter) -> Layer:
    """Create an empty layer.

    :param folder: a folder that does not exist yet.
    :param below: the environment below it.
    """
    layer = Layer(folder, below.version)
    layer.site.mkdir(parents=True)
    layer.bin.mkdir()
    interpreter = below.python.resolve()
    (folder / "pyvenv.cfg").write_text(
        f"home = {interpreter.parent}\ninclude-system-site-packages = false\nversion = {below.version}\n"
    )
    for name in ("python", "python3", f"python{below.version}"):
        (layer.bin / name).symlink_to(interpreter)
    for name in ("pip", "uv"):
        (layer.site / name).symlink_to(_STAND_INS / name)
    # Until a kept layer takes its place, so that interpreters which have started by then look there, too.
    (folder / _NOTHING).mkdir()
    layer.kept.symlink_to(_NOTHING)
    # A line that begins with "import" is run, so that the .pth files of a folder are honoured, too.
    # A kept layer has this file as well, and would begin again with the folder that it lies in.
    folders = ["sys.prefix + '/kept'", *(repr(str(path)) for path in below.sites)]
    lines = [f"import site, sys; {each} in sys.path or site.addsitedir({each})\n" for each in folders]
    (layer.site / "below.pth").write_text("".join(lines))
    return layer


def take_kept_layer(source: Layer, target: Layer, python: str) -> bool:
    """Put a kept layer between a layer and the environment below it; return False if there is one already.

    :param source: a layer over the same environment, which is kept and never changed.
    :param target: the layer of a job.
    :param python: the interpreter of the target as the job names it, for the first line of its programs.
    """
    if target.kept.readlink() != Path(_NOTHING):
        return False
    link = target.folder / "taken"
    link.symlink_to(source.site)
    link.replace(target.kept)
    own = {"python", "python3", f"python{source.version}"}
    for program in source.bin.iterdir():
        if program.name not in own:
            _copy_program(program, target.bin / program.name, python)
    return True


def _copy_program(program: Path, goal: Path, python: str) -> None:
    """Copy a program; one that the other layer's interpreter runs is run by this one's.

    Its path is in the first line, or in the second if it is too long for a first one.
    """
    content = program.read_bytes()
    if content.startswith(b"#!"):
        *head, rest = content.split(b"\n", 2)
        content = b"\n".join([*(_INTERPRETER.sub(os.fsencode(python), line) for line in head), rest])
    goal.write_bytes(content)
    goal.chmod(goal.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
