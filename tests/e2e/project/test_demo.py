"""What a reader of the README sees of ``make demo``, on the running stack."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from stack.settings import ROOT
from tests.e2e.project.conftest import Airflow
from tests.waiting import RUN_SECONDS, until

pytestmark = pytest.mark.thorough


def demo(airflow: Airflow, *arguments: str) -> str:
    until(airflow.stack.is_up, "the stack to be healthy")
    env = os.environ | {"STACK_STATE_DIR": str(airflow.settings.state_dir)}
    command = [sys.executable, "-m", "stack", "demo", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=RUN_SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_an_accepted_model_is_scored_and_the_stack_stays_up(airflow: Airflow) -> None:
    shown = demo(airflow)
    progress, _, summary = shown.partition("\n\n")
    assert re.search(r"AbaloneTrain +(Executing|Succeeded)\n", progress)
    assert re.search(r"AbaloneTransform +Succeeded +[0-9.]+ s\n", summary)
    assert re.search(r"ScoringReport +Succeeded +[0-9.]+ s\n", summary)
    assert re.search(r"MSE [0-9.]+ <= threshold 6: accepted\n", summary)
    assert "branch: trigger_scoring success, notify_rejected skipped" in summary
    assert re.search(r"417 predictions in s3://[^ ]+\.out\nthe first 5: ([0-9.]+, ){4}[0-9.]+\n", summary)
    assert f"Airflow's UI: {airflow.settings.airflow_url}/dags/abalone_train/runs/" in summary
    page = f"{airflow.settings.airflow_url}/plugin/sagemaker-pipelines"
    assert summary.rstrip().endswith(f"All executions: {page}")
    assert airflow.stack.is_up()


def test_a_rejected_model_shows_the_message_and_the_notification_and_no_scoring(airflow: Airflow) -> None:
    shown = demo(airflow, "--mse-threshold", "3.0")
    assert "Execution failed due to MSE > 3.0" in shown
    assert re.search(r"MSE [0-9.]+ > threshold 3: rejected\n", shown)
    assert re.search(r"notified: abalone rejected: MSE [0-9.]+\n", shown)
    assert "abalone_score" not in shown
    assert "predictions in" not in shown
