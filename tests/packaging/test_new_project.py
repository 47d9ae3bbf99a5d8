"""The built wheels in an empty folder: docs/new_project.md, then the README of the project that it writes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sagemaker_local_runtime.images.ports import free_port
from stack.package import DISTRIBUTIONS, build_wheel
from stack.settings import ROOT
from tests.documents import blocks

# It takes two minutes on an idle machine, and many on one that does other work.
pytestmark = pytest.mark.thorough


def commands(document: Path) -> list[str]:
    """Return the shell blocks of a document."""
    return re.findall(r"^```sh\n(.*?)^```$", document.read_text(), re.MULTILINE | re.DOTALL)


def run(script: str, folder: Path, environment: dict[str, str]) -> str:
    """Run a script of bash, and return what it printed; its failure fails the test with its output."""
    done = subprocess.run(
        ["bash", "-euxc", script], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{done.stdout[-8000:]}\n{done.stderr[-8000:]}"
    return done.stdout + done.stderr


def test_a_new_project_works_as_its_readme_says(tmp_path: Path) -> None:
    for folder in DISTRIBUTIONS:
        build_wheel(tmp_path / "dist", root=ROOT / folder)
    project = tmp_path / "project"
    project.mkdir()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python3").symlink_to(sys.executable)
    environment = {
        "PATH": f"{tmp_path / 'bin'}{os.pathsep}/usr/local/bin:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "AWS_EC2_METADATA_DISABLED": "true",
        # The versions that this checkout is tested with, from the cache of this user.
        "UV_CONSTRAINT": str(ROOT / "constraints.txt"),
        "UV_CACHE_DIR": os.environ.get("UV_CACHE_DIR", str(Path.home() / ".cache" / "uv")),
        # What the first block of the page exports; it also builds what only MWAA needs.
        "UV_FIND_LINKS": str(tmp_path / "dist"),
        "UV_OVERRIDE": str(ROOT / "overrides.txt"),
        **{name: os.environ[name] for name in os.environ if name.startswith(("PIP_", "UV_", "SSL_"))},
    }
    build, start = blocks("new_project.md", "sh")
    assert set(re.findall(r"UV_\w+", build)) <= environment.keys()
    run(start, project, environment)

    port = str(free_port())
    script = "\n".join(commands(project / "README.md"))
    script = script.replace("local up", f"local up --port {port}").replace("4566", port)
    try:
        shown = run(script, project, environment)
    finally:
        run(".venv/bin/sagemaker-pipelines local down", project, environment)
    assert re.search(r"\b2 passed in\b", shown)
    assert re.search(r"my-pipeline, execution \w+: Succeeded", shown)
    assert re.search(r"DagRun Finished: dag_id=my_pipeline.* state=success", shown)
    installed = run(
        ".venv/bin/python -c 'import sagemaker_compile, sagemaker_local_runtime, sagemaker_pipelines as p;"
        "print(p.__file__, sagemaker_compile.__file__, sagemaker_local_runtime.__file__)'",
        project,
        environment,
    )
    assert str(ROOT) not in installed
    run("make check", project, environment)
