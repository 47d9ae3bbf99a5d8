"""docs/local_runtime.md says what is: its tables are generated, its example runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from sagemaker_local_runtime.api import load_actions
from sagemaker_local_runtime.api.registry import ACTIONS
from sagemaker_local_runtime.endpoint.records import RECORDS
from sagemaker_local_runtime.engine.steps import EXECUTORS
from sagemaker_local_runtime.exceptions import SettingsError
from sagemaker_local_runtime.faults import Fault
from sagemaker_local_runtime.service_model import service_model
from sagemaker_local_runtime.support import PARTIAL_ACTIONS, PARTIAL_STEPS, tables, update
from sagemaker_local_runtime.testing import Endpoint

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


@pytest.mark.thorough
def test_the_example_tests_pass(tmp_path: Path) -> None:
    examples = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
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
        timeout=120,
        check=False,
    )
    assert f"{len(examples)} passed" in done.stdout, done.stdout + done.stderr


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
