"""``python -m pip`` inside a job, where this folder is linked into the layer as the package ``pip``."""

import runpy
from pathlib import Path

runpy.run_path(str(Path(__file__).resolve().parents[1] / "installer.py"), run_name="__main__")
