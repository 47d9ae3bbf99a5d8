"""Tuning, ForEach and Cleanup steps that the classes of SDK v3 build."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

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


@pytest.mark.thorough
def test_the_steps_of_the_sdk_are_executed(local_runtime: LocalRuntime, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "train.py").write_text(textwrap.dedent(TRAIN))
    (source / "process.py").write_text(textwrap.dedent(PROCESS))
    command = [
        sys.executable,
        str(Path(__file__).with_name("sdk_steps_client.py")),
        local_runtime.bucket,
        local_runtime.role_arn,
        str(source),
    ]
    environment = {**os.environ, **local_runtime.environment, "SAGEMAKER_VALIDATE_ROLE": "false"}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert ended.stdout, ended.stderr[-2000:]
    steps = {step["StepName"]: step for step in json.loads(ended.stdout.strip().splitlines()[-1])}
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
