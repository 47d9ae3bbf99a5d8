"""Functions with ``@step``, as SDK v3 pickles, signs and deploys them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sagemaker_local_runtime.testing import LocalRuntime

# The images of this version run in the runtime's own environment, where the tests have the SDK.
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.9-0-cpu-py3"
_SECONDS = 600.0


@pytest.mark.thorough
def test_functions_run_as_jobs_and_pass_their_results_on(local_runtime: LocalRuntime) -> None:
    deploy = [
        sys.executable,
        str(Path(__file__).with_name("step_client.py")),
        "functions",
        local_runtime.role_arn,
        IMAGE,
        "",
    ]
    environment = {**os.environ, **local_runtime.environment}
    ended = subprocess.run(
        deploy, env=environment, capture_output=True, text=True, timeout=_SECONDS, check=False
    )
    assert ended.returncode == 0, ended.stderr[-2000:]

    def run(count: str) -> tuple[str, dict[str, dict[str, Any]]]:
        arn = local_runtime.start("functions", {"Count": count})
        status = str(local_runtime.wait(arn, timeout=_SECONDS)["PipelineExecutionStatus"])
        return status, local_runtime.steps(arn)

    status, steps = run("3")
    assert status == "Succeeded", steps
    assert steps["Gate"]["Metadata"]["Condition"]["Outcome"] == "True"
    job = local_runtime.client("sagemaker").describe_training_job(
        TrainingJobName=steps["Make"]["Metadata"]["TrainingJob"]["Arn"].rpartition("/")[2]
    )
    results = f"{job['OutputDataConfig']['S3OutputPath']}/results.json"
    assert json.loads(local_runtime.get(results))["Result"] == {"value": 6, "rows": [3, 3, 3]}

    status, steps = run("2")
    assert status == "Failed"
    assert steps["Reject"]["StepStatus"] == "Failed", "the condition reads what the function returned"

    status, steps = run("6")
    assert status == "Failed"
    assert "ValueError('too many rows')" in steps["Add"]["FailureReason"], steps
