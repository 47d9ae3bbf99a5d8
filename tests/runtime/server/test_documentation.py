"""docs/local_runtime.md says what is: its tables are generated, its example runs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from sagemaker_local_runtime.api import load_actions
from sagemaker_local_runtime.api.registry import ACTIONS
from sagemaker_local_runtime.endpoint.records import RECORDS
from sagemaker_local_runtime.engine.steps import EXECUTORS
from sagemaker_local_runtime.exceptions import SettingsError
from sagemaker_local_runtime.faults import Fault
from sagemaker_local_runtime.images.catalog import Catalog
from sagemaker_local_runtime.images.ports import free_port
from sagemaker_local_runtime.service_model import service_model
from sagemaker_local_runtime.stubs.declaration import read_stubs
from sagemaker_local_runtime.support import PARTIAL_ACTIONS, PARTIAL_STEPS, compared, tables, update
from sagemaker_local_runtime.testing_client import Endpoint
from sagemaker_pipelines.aws.answers import expected_answers
from stack.bootstrap import DATA_FILE, split_data
from stack.settings import ROOT
from tests.documents import blocks
from tests.waiting import RUN_SECONDS

DOCUMENT = Path(__file__).parents[3] / "docs" / "local_runtime.md"


def test_the_tables_are_current() -> None:
    """If not: python -m sagemaker_local_runtime support --update docs/local_runtime.md."""
    assert tables() in DOCUMENT.read_text()


def test_notes_are_about_what_exists() -> None:
    load_actions()
    assert PARTIAL_STEPS.keys() <= EXECUTORS.keys()
    assert PARTIAL_ACTIONS.keys() <= ACTIONS.keys()
    assert not RECORDS.keys() & ACTIONS.keys()
    assert RECORDS.keys() | ACTIONS.keys() <= set(service_model().operation_names)


def test_an_update_replaces_the_generated_part_only(tmp_path: Path) -> None:
    path = tmp_path / "d.md"
    text = DOCUMENT.read_text()
    path.write_text(text.replace("| Callback | supported | |", "| Callback | refused | |") + "kept\n")
    assert update(path) is True
    assert path.read_text() == text + "kept\n"
    assert update(path) is False
    path.write_text("no markers")
    with pytest.raises(SettingsError, match="has no part between"):
        update(path)


def report(day: str, answers: Any) -> str:
    return json.dumps({"format": 1, "endpoint": "AWS", "date": day, "answers": answers})


def test_reports_from_aws_say_how_actions_compare(tmp_path: Path) -> None:
    name = "sagemaker:StartPipelineExecution"
    same = {name: expected_answers()[name]}
    other = {name: {"members": {"PipelineExecutionArn": "string", "New": "string"}, "errors": {}}}
    (tmp_path / "a.json").write_text(report("2026-12-02", {**other, "sagemaker:CreateCluster": same[name]}))
    (tmp_path / "b.json").write_text(report("2026-12-01", same))
    assert compared(tmp_path) == {"StartPipelineExecution": "1 difference, 2026-12-02"}
    (tmp_path / "a.json").write_text(report("2026-11-30", other))
    assert compared(tmp_path) == {"StartPipelineExecution": "the same, 2026-12-01"}
    assert compared(tmp_path / "none") == {}


@pytest.mark.thorough
def test_the_example_tests_pass(tmp_path: Path) -> None:
    examples = blocks("local_runtime.md", "python")
    assert examples
    (tmp_path / "test_examples.py").write_text("\n".join(examples))
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "--rootdir",
            str(tmp_path),
            str(tmp_path),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
    )
    assert f"{len(examples)} passed" in done.stdout, done.stdout + done.stderr


@pytest.mark.thorough
def test_the_shell_commands_run(tmp_path: Path) -> None:
    """In a folder with a definition, its data and a program that knows nothing of the local runtime."""
    (tmp_path / "dags").symlink_to(ROOT / "dags")
    data = split_data(DATA_FILE)
    (tmp_path / "train.csv").write_bytes(data["train/abalone.csv"])
    (tmp_path / "holdout.csv").write_bytes(data["holdout/holdout.csv"])
    (tmp_path / "train_and_register.py").write_text(
        "import boto3\nprint(boto3.client('sts').get_caller_identity()['Arn'])\n"
    )
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "sagemaker-pipelines"
    # A program, not a function: what runs in the background is to be the process that is ended.
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m sagemaker_pipelines "$@"\n')
    command.chmod(0o755)
    serve, *others = blocks("local_runtime.md", "shell")
    port = str(free_port())
    script = f"""
        set -euo pipefail
        {serve.strip().replace("4566", port)} &
        trap 'kill $!' EXIT
        until curl -sf http://127.0.0.1:{port}/_local_runtime/health > health.json; do sleep 0.2; done
        """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    folders = [command.parent, Path(sys.executable).parent, os.environ["PATH"]]
    done = subprocess.run(
        ["bash", "-c", textwrap.dedent(script) + "\n".join(others)],
        cwd=tmp_path,
        env=environment | {"PATH": os.pathsep.join(map(str, folders))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "assumed-role/SageMakerExecutionRole/local-runtime" in done.stdout
    assert re.search(r"abalone, execution \w+: Succeeded", done.stdout)
    assert '"drop_after"' in done.stdout


def test_the_files_of_images_and_stubs_are_read(tmp_path: Path) -> None:
    images, stubs = blocks("local_runtime.md", "toml")
    (tmp_path / "container").mkdir()
    (tmp_path / "container" / "requirements.txt").write_text("six==1.17.0\n")
    (tmp_path / "images.toml").write_text(images)
    image = Catalog(tmp_path / "images.toml").find("111122223333.dkr.ecr.eu-west-1.amazonaws.com/churn:v3")
    assert image.asked == {"six": "1.17.0"}
    (tmp_path / "stubs.toml").write_text(stubs)
    assert read_stubs(tmp_path / "stubs.toml") == {"EMR": f"{tmp_path}/stubs.py:run_emr"}


def test_the_listed_members_of_the_fixtures_exist() -> None:
    sentence = re.search(r"Both have (.*?)\.\n", DOCUMENT.read_text())
    assert sentence is not None
    names = re.findall(r"`(\w+)[`(]", sentence[1])
    assert len(names) > 10
    attributes = {"endpoint_url", "bucket", "role_arn"}
    assert all(hasattr(Endpoint, name) or name in attributes for name in names)


def test_every_kind_of_fault_is_documented() -> None:
    kinds = re.findall(r"^\| `(\w+)` \| (?:`|an? |the |what )", DOCUMENT.read_text(), re.MULTILINE)
    for kind in ("throttle", "error500", "drop_before", "drop_after", "latency", "capacity"):
        assert Fault(action="*", kind=kind).kind in kinds
