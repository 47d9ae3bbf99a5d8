"""``make run``: the definition on a local runtime of its own, without Airflow."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from stack.settings import ROOT, StackSettings
from tests.waiting import RUN_SECONDS


@pytest.fixture(scope="module")
def state_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


def run(state_dir: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stack", "run", *arguments]
    env = os.environ | {"STACK_STATE_DIR": str(state_dir)}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=RUN_SECONDS)


@pytest.mark.thorough
def test_every_step_the_metric_and_the_first_predictions_are_shown(state_dir: Path) -> None:
    done = run(state_dir)
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("AbaloneProcess", "AbaloneTrain", "AbaloneEval", "AbaloneRegisterModel", "AbaloneTransform"):
        assert re.search(rf"  {name} +Succeeded +[0-9.]+ s\n", done.stdout), name
    assert re.search(r"MSE [0-9.]+ <= threshold 6: accepted\n", done.stdout)
    assert re.search(r"417 predictions in s3://[^ ]+\.out\nthe first 5: ([0-9.]+, ){4}", done.stdout)


@pytest.mark.thorough
def test_a_rejection_is_a_result_and_shows_the_fail_steps_message(state_dir: Path) -> None:
    done = run(state_dir, "--mse-threshold", "3.0")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "AbaloneMSEFail: Execution failed due to MSE > 3.0" in done.stdout
    assert "predictions in" not in done.stdout


@pytest.mark.thorough
def test_a_failure_exits_non_zero_with_the_reason_and_the_jobs_output(state_dir: Path) -> None:
    unlabelled = f"s3://{StackSettings().bucket}/abalone/data/holdout/holdout.csv"
    done = run(state_dir, "--input-data", unlabelled)
    assert done.returncode == 1
    assert "step AbaloneProcess failed: ClientError: AlgorithmError: holdout.csv, line 1" in done.stderr
    assert "\n  | " in done.stderr
    assert "Traceback" not in done.stderr
