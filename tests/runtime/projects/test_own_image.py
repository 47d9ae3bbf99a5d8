"""A public-style project with an image of its own goes from its files to a green execution.

``own_image/`` is such a project: a Dockerfile, the program and the server of the image, the script of a step,
and the definition that the SDK made. ``images.toml`` is what docs/local_runtime.md asks for.
"""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

import pytest

from sagemaker_local_runtime.settings import Settings
from sagemaker_local_runtime.testing import RuntimeProcess

PROJECT = Path(__file__).parent / "own_image"


def customers() -> bytes:
    """A table in which customers who call often leave."""
    numbers = random.Random(7)
    lines = ["calls,months,churned"]
    for _ in range(200):
        calls, months = numbers.randint(0, 9), numbers.randint(1, 60)
        lines.append(f"{calls},{months},{int(calls + numbers.random() > 5)}")
    return "\n".join(lines).encode()


# Thorough, because the packages of the image come from the package index.
@pytest.mark.thorough
def test_from_files_to_a_green_execution(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    began = time.monotonic()
    settings = Settings(data_dir=tmp_path / "runtime", port=0, images=PROJECT / "images.toml")
    runtime = RuntimeProcess(settings)
    try:
        runtime.put("churn/code/prepare.py", (PROJECT / "steps" / "prepare.py").read_bytes())
        runtime.put("churn/data/customers.csv", customers())
        name = runtime.create_pipeline(json.loads((PROJECT / "definition.json").read_text()), "churn")
        arn = runtime.start(name, {"C": "0.5"})
        execution = runtime.wait(arn, timeout=600)
        steps = runtime.steps(arn)
        logs = [path.read_text() for path in settings.data_dir.glob("jobs/*/*/output.log")]
        assert execution["PipelineExecutionStatus"] == "Succeeded", (steps, logs)
        with capsys.disabled():
            print(f"\nown image, from files to green: {time.monotonic() - began:.0f} s")
        scores = runtime.get(f"s3://{runtime.bucket}/churn/scores/batch.csv.out").split()
        assert len(scores) == 40
        assert all(0 <= float(score) <= 1 for score in scores)
        assert any("runs on Python 3." in log and "scikit-learn 1.5.2" in log for log in logs)
        training = steps["Train"]["Metadata"]["TrainingJob"]["Arn"].rpartition("/")[2]
        job = runtime.client("sagemaker").describe_training_job(TrainingJobName=training)
        assert job["FinalMetricDataList"][0]["Value"] > 0.8
    finally:
        runtime.close()
