"""Follow a section of docs/coming_from.md, from a project's files to a green DAG."""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path

from sagemaker_local_runtime.images.ports import free_port
from stack.settings import ROOT
from tests.documents import blocks


def walk(heading: str, folder: Path, *, then: str = "") -> None:
    """Run the commands of a section, and print how long they took.

    :param heading: the section.
    :param folder: the folder with the project's files and ``dags/``.
    :param then: more commands, while the local runtime still runs.
    """
    script = "\n".join(
        ["set -eu", "trap 'kill $(jobs -p)' EXIT", *blocks("coming_from.md", "sh", heading), then]
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | {
        "PATH": f"{ROOT / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "AIRFLOW_HOME": str(folder / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(folder / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    began = time.monotonic()
    done = subprocess.run(
        ["bash", "-c", script.replace("4599", str(free_port()))],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-8000:]}\n{done.stderr[-8000:]}"
    assert re.search(r"DagRun Finished: dag_id=churn.* state=success", done.stdout + done.stderr)
    print(f"{heading}: {time.monotonic() - began:.1f} s")
