"""Build pipelines in another Python environment, such as one with version 2 of the SDK.

SDK v2 and Airflow need different versions of the same packages. Only this folder's code is shared with the
other environment, not the packages of this one.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from sagemaker_compile.capture import Capture
from sagemaker_compile.exceptions import CompileError
from sagemaker_compile.sources import Source

#: Imports this package from its folder, without the folder above, which may hold all packages of this one.
_START = """
import importlib.util, sys
folder = sys.argv[1]
spec = importlib.util.spec_from_file_location(
    "sagemaker_compile", folder + "/__init__.py", submodule_search_locations=[folder]
)
sys.modules["sagemaker_compile"] = package = importlib.util.module_from_spec(spec)
spec.loader.exec_module(package)
from sagemaker_compile.child import main
main(sys.argv[2], sys.argv[3])
"""


def capture_with(python: Path, sources: list[Source]) -> list[Capture]:
    """Build pipelines in the environment of another Python.

    :param python: its interpreter, such as ``.venv-v2/bin/python``, with the packages sagemaker and moto.
    :param sources: the pipelines' sources.
    :raise CompileError: if the interpreter cannot be run, lacks a package, or a pipeline cannot be built.
    """
    if shutil.which(python) is None:
        raise CompileError(
            f"--python is {python}, which is not a program that can be run: name the Python of an "
            "environment with the SDK, such as .venv-v2/bin/python."
        )
    with tempfile.TemporaryDirectory() as folder:
        question, answer = Path(folder, "sources.json"), Path(folder, "captures.json")
        asked = [
            {"name": item.name, "description": item.description, "folder": str(item.folder)}
            for item in sources
        ]
        question.write_text(json.dumps(asked), encoding="utf-8")
        # A PYTHONPATH of this environment would lead to packages of another version.
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(
            [python, "-c", _START, str(Path(__file__).parent), str(question), str(answer)],
            check=False,
            env=environment,
        )
        if done.returncode or not answer.is_file():
            raise CompileError(
                f"{python} ended with exit code {done.returncode} while it built "
                f"{', '.join(item.name for item in sources)}: see its output above."
            )
        document = json.loads(answer.read_text(encoding="utf-8"))
    if "error" in document:
        raise CompileError(document["error"])
    return [Capture.from_json(item) for item in document["captures"]]
