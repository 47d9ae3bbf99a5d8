"""The command line on a machine where nothing is set up."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.waiting import GENEROUS_SECONDS

# A process each: what is wrong is told before Airflow could hide it.
pytestmark = pytest.mark.thorough


def run(home: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    env = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    env |= {"HOME": str(home), "AWS_EC2_METADATA_DISABLED": "true", **variables}
    command = [sys.executable, "-m", "sagemaker_pipelines", *arguments]
    return subprocess.run(
        command, env=env, capture_output=True, text=True, timeout=GENEROUS_SECONDS, check=False
    )


@pytest.mark.parametrize(
    ("arguments", "code", "cure"),
    [
        (["list"], 1, "Set a region: --region"),
        (["schedule", "list"], 1, "Set a region: --region"),
        (["list", "--region", "us-east-1"], 1, "AWS_ACCESS_KEY_ID"),
        (["--profile", "typo", "list"], 1, "aws configure list-profiles"),
        (["--endpoint-url", "typo", "list", "--region", "us-east-1"], 1, "such as http://127.0.0.1:4566"),
        (["list", "--conn-id", "typo"], 2, "The Airflow connection 'typo' does not exist"),
        (["schedule", "list", "--conn-id", "typo"], 2, "The Airflow connection 'typo' does not exist"),
        (["backfill-report", "1", "--airflow-url", "typo"], 1, "expected one such as http://localhost:8080"),
        (["show", "typo.json"], 1, "Name one of these"),
    ],
)
def test_an_error_is_one_line_with_the_cure(
    tmp_path: Path, arguments: list[str], code: int, cure: str
) -> None:
    done = run(tmp_path, *arguments)
    assert done.returncode == code
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: ")
    assert cure in line
    assert done.stdout == ""


def test_an_endpoint_that_does_not_answer_is_told_with_the_cure(tmp_path: Path) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_MAX_ATTEMPTS": "1"}
    # Nothing may listen on port 1 without root, and nothing does.
    done = run(tmp_path, "--endpoint-url", "http://127.0.0.1:1", "list", "--region", "us-east-1", **keys)
    assert done.returncode == 1
    assert "Could not connect" in done.stderr
    assert "--endpoint-url" in done.stderr
    assert "Traceback" not in done.stderr
