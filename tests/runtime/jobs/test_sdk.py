"""Script mode as SDK v3 emits it, driven by the SDK itself."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import textwrap
from pathlib import Path
from typing import Any

import pytest

from sagemaker_local_runtime.settings import Settings
from sagemaker_local_runtime.testing import LocalRuntime
from tests.waiting import GENEROUS_SECONDS

TRAIN = """
    import argparse, json, os
    from inner import factor

    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--rate", type=float)
    arguments = parser.parse_args()
    rows = open(os.environ["SM_CHANNEL_TRAIN"] + "/rows.csv").read().split()
    result = {"epochs": arguments.epochs, "rate": arguments.rate, "rows": len(rows), "factor": factor()}
    json.dump(result, open(os.path.join(os.environ["SM_MODEL_DIR"], "model.json"), "w"))
"""
PROCESS = """
    import sys
    from inner import factor

    with open("/opt/ml/processing/output/result.txt", "w") as file:
        file.write(str(int(sys.argv[2]) * factor()))
"""


def run_sdk(runtime: LocalRuntime, source: Path) -> tuple[int, dict[str, dict[str, Any]], str]:
    """Run the SDK's user; return its exit code, the steps by name, and what it said on stderr."""
    environment = {**os.environ, **runtime.environment, "SAGEMAKER_VALIDATE_ROLE": "false"}
    command = [
        sys.executable,
        str(Path(__file__).with_name("sdk_client.py")),
        runtime.bucket,
        runtime.role_arn,
        str(source),
    ]
    ended = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=GENEROUS_SECONDS, check=False
    )
    lines = ended.stdout.strip().splitlines()
    steps = {step["StepName"]: step for step in json.loads(lines[-1])} if lines else {}
    return ended.returncode, steps, ended.stderr[-2000:]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "train.py").write_text(textwrap.dedent(TRAIN))
    (folder / "process.py").write_text(textwrap.dedent(PROCESS))
    (folder / "inner.py").write_text("def factor():\n    return 2\n")
    return folder


@pytest.mark.thorough
@pytest.mark.parametrize("isolation", ["namespace", pytest.param("rewrite", marks=pytest.mark.thorough)])
def test_model_trainer_and_framework_processor_run_their_source_folder(
    tmp_path: Path, source: Path, isolation: str
) -> None:
    runtime = LocalRuntime(Settings(data_dir=tmp_path / "runtime", port=0, isolation=isolation))
    try:
        runtime.put("data/rows.csv", b"1\n2\n3\n")
        code, steps, errors = run_sdk(runtime, source)
        assert code == 0, (steps, errors)
        assert {name: step["StepStatus"] for name, step in steps.items()} == {
            "Train": "Succeeded",
            "Process": "Succeeded",
        }
        name = steps["Train"]["Metadata"]["TrainingJob"]["Arn"].rpartition("/")[2]
        archive = runtime.get(f"s3://{runtime.bucket}/models/{name}/output/model.tar.gz")
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            model = json.load(tar.extractfile("model.json"))  # type: ignore[arg-type]
        assert model == {"epochs": 4, "rate": 0.5, "rows": 3, "factor": 2}
        assert runtime.get(f"s3://{runtime.bucket}/processed/result.txt") == b"6"
    finally:
        runtime.close()
