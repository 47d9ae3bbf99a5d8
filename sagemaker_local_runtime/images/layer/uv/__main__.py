"""``uv`` and ``python -m uv`` inside a job: ``uv pip`` is the layer's pip, anything else is uv itself."""

import os
import runpy
import sys
from pathlib import Path

_INSTALLER = runpy.run_path(str(Path(__file__).resolve().parents[1] / "installer.py"))

if sys.argv[1:2] == ["pip"]:
    sys.exit(_INSTALLER["main"](sys.argv[2:]))
_UV = _INSTALLER["load"](sys.prefix)["uv"]
os.execv(_UV, [_UV, *sys.argv[1:]])  # noqa: S606 - without a shell on purpose
