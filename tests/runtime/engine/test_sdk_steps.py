"""Tuning, ForEach, Cleanup and QualityCheck steps that the classes of SDK v3 build."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from sagemaker_local_runtime.testing import LocalRuntime

TRAIN = """
    import argparse, os

    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--rate", type=float)
    arguments = parser.parse_args()
    assert arguments.epochs == 4
    open(os.path.join(os.environ["SM_MODEL_DIR"], "rate"), "w").write(str(arguments.rate))
    print(f"loss={arguments.rate}")
"""
PROCESS = """
    import os

    open("/opt/ml/processing/output/result.txt", "w").write(os.environ["RANK"])
"""


def client(runtime: LocalRuntime, program: str, *arguments: str) -> list[Any]:
    """Run a program of this folder, and return the lists that it prints."""
    command = [sys.executable, str(Path(__file__).with_name(program)), runtime.bucket, runtime.role_arn]
    environment = {**os.environ, **runtime.environment, "SAGEMAKER_VALIDATE_ROLE": "false"}
    ended = subprocess.run(
        [*command, *arguments], env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    lines = [line for line in ended.stdout.splitlines() if line.startswith("[")]
    assert lines, ended.stderr[-2000:]
    return [json.loads(line) for line in lines]


def by_name(steps: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the steps of an execution by their names."""
    return {step["StepName"]: step for step in steps}


@pytest.mark.thorough
def test_the_steps_of_the_sdk_are_executed(local_runtime: LocalRuntime, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "train.py").write_text(textwrap.dedent(TRAIN))
    (source / "process.py").write_text(textwrap.dedent(PROCESS))
    steps = by_name(*client(local_runtime, "sdk_steps_client.py", str(source)))
    assert {name: step["StepStatus"] for name, step in steps.items()} == {
        "Tune": "Succeeded",
        "Each": "Succeeded",
        "Process-0": "Succeeded",
        "Process-1": "Succeeded",
        "Prepare": "Succeeded",
        "Clean": "Succeeded",
        "Report": "Failed",
    }, steps

    uri, loss, rank, count = steps["Report"]["FailureReason"].split()
    assert (rank, count) == ("7", "2")
    assert 0.1 <= float(loss) <= 0.5
    assert len(local_runtime.get(uri)) > 0
    assert f"/{steps['Tune']['Metadata']['TuningJob']['Arn'].rpartition('/')[2]}-" in uri
    assert local_runtime.get(f"s3://{local_runtime.bucket}/items/low/result.txt") == b"1"
    assert steps["Each"]["Metadata"]["ForEach"]["Selector"] == {"StepName": "Process-1", "Index": 1}
    assert steps["Clean"]["Metadata"]["Cleanup"]["CleanedSteps"] == ["Prepare"]
    listed = local_runtime.client("s3").list_objects_v2(Bucket=local_runtime.bucket, Prefix="prepared/")
    assert listed["KeyCount"] == 0


@pytest.mark.thorough
def test_the_checks_of_the_sdk_are_executed(local_runtime: LocalRuntime) -> None:
    """A first execution makes the baselines, a second one is compared with them."""
    rows = range(300)

    def predictions(error: int) -> bytes:
        return "".join(
            json.dumps({"rings": n, "predicted": n + error * (-1) ** n}) + "\n" for n in rows
        ).encode()

    local_runtime.put("data/rows.csv", "".join(f"{n},M\n" for n in rows).encode())
    local_runtime.put("data/drifted.csv", "".join(f"{n + 150},M\n" for n in rows).encode())
    local_runtime.put("data/predictions.jsonl", predictions(1))
    local_runtime.put("data/worse.jsonl", predictions(2))
    local_runtime.put("earlier/statistics.json", b"{}")
    # The form of tests/data/pipeline/quality_check_step/model_quality in the SDK's sources.
    limit = {"mae": {"threshold": 1.5, "comparison_operator": "GreaterThanThreshold"}}
    local_runtime.put("earlier/constraints.json", json.dumps({"regression_constraints": limit}).encode())

    *executions, suggested = client(local_runtime, "quality_check_client.py")
    first, second = map(by_name, executions)
    bucket = f"s3://{local_runtime.bucket}"
    assert first["Report"]["FailureReason"].split() == [
        "1.0",
        f"{bucket}/features/statistics.json",
        f"{bucket}/features/constraints.json",
        f"{bucket}/model/constraints.json",
    ]
    model = first["Model"]["Metadata"]["QualityCheck"]
    assert model["CheckType"] == "MODEL_QUALITY"

    features = second["Features"]["Metadata"]["QualityCheck"]
    assert second["Features"]["StepStatus"] == "Succeeded"
    found = json.loads(local_runtime.get(features["ViolationReport"]))["violations"]
    assert [(each["feature_name"], each["constraint_check_type"]) for each in found] == [
        ("_c0", "baseline_drift_check")
    ]
    model = second["Model"]["Metadata"]["QualityCheck"]
    assert second["Model"]["FailureReason"] == (
        f"ClientError: Quality check failed. See violation report: {bucket}/model/constraint_violations.json"
    )
    assert model["BaselineUsedForDriftCheckConstraints"] == f"{bucket}/earlier/constraints.json"
    measured = json.loads(local_runtime.get(f"{bucket}/model/statistics.json"))["regression_metrics"]
    assert measured["mae"]["value"] == 2.0
    (violation,) = json.loads(local_runtime.get(model["ViolationReport"]))["violations"]
    assert violation["metric_name"] == "mae"
    assert "Report" not in second
    assert suggested == [
        {
            "name": "_c1",
            "inferred_type": "String",
            "completeness": 1.0,
            "string_constraints": {"domains": ["M"]},
        }
    ]
