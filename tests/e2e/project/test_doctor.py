"""``doctor`` on the account of the running stack."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from stack.airflow_env import aws_connection
from stack.settings import ROOT, StackSettings
from tests.e2e.project.conftest import Airflow
from tests.waiting import GENEROUS_SECONDS

pytestmark = pytest.mark.thorough


def doctor(settings: StackSettings, **settings_of_connection: str) -> subprocess.CompletedProcess[str]:
    connection = json.loads(json.dumps(aws_connection(settings)))
    # The runtime records calls by key: the doctor's are not those of Airflow's role (test_iam.py).
    connection["login"] = "doctor"
    connection["extra"]["service_config"]["sagemaker"].update(settings_of_connection)
    env = os.environ | {"AIRFLOW_CONN_AWS_DEFAULT": json.dumps(connection)}
    command = [sys.executable, "-m", "sagemaker_pipelines", "doctor"]
    return subprocess.run(
        command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=GENEROUS_SECONDS
    )


def test_a_complete_account_is_found_in_order(airflow: Airflow) -> None:
    done = doctor(airflow.settings)
    assert done.returncode == 0, done.stdout + done.stderr
    states = [line.split()[0] for line in done.stdout.splitlines()]
    assert states == ["ok"] * len(states)
    assert f"s3://{airflow.settings.bucket}/abalone/data/train/abalone.csv" in done.stdout


def test_what_is_missing_is_named_with_its_cure(airflow: Airflow) -> None:
    done = doctor(airflow.settings, artifact_bucket="no-such-bucket")
    assert done.returncode == 1
    assert "no-such-bucket does not exist" in done.stdout
    assert "aws s3 mb s3://no-such-bucket --region us-east-1" in done.stdout


def test_without_a_bucket_in_the_settings_the_place_to_put_it_is_shown(airflow: Airflow) -> None:
    env = {k: v for k, v in os.environ.items() if not k.startswith("AIRFLOW_CONN")}
    command = [sys.executable, "-m", "sagemaker_pipelines", "doctor"]
    done = subprocess.run(
        command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=GENEROUS_SECONDS
    )
    assert done.returncode == 1
    assert "artifact_bucket is not set" in done.stderr
    assert "service_config" in done.stderr
