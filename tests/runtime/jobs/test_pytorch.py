"""PyTorch trains and scores on the CPU; long, since the build on PyPI has 3 GB of CUDA with it."""

from __future__ import annotations

import io
import tarfile

import pytest

from tests.runtime.jobs import test_training as training
from tests.runtime.jobs import test_transform as transform
from tests.runtime.jobs.conftest import BUCKET, JobRuntime

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]

IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-{}:2.6.0-cpu-py312-ubuntu22.04-sagemaker"
TRAIN = b"""
import argparse, os, pathlib, shutil
import torch

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int)
epochs = parser.parse_args().epochs
rows = torch.rand(64, 2)
target = rows @ torch.tensor([[2.0], [3.0]]) + 1
model = torch.nn.Linear(2, 1)
optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
for _ in range(epochs):
    optimizer.zero_grad()
    loss = torch.nn.functional.mse_loss(model(rows), target)
    loss.backward()
    optimizer.step()
print(f"torch {torch.__version__} loss={loss.item():.6f};")
folder = pathlib.Path(os.environ["SM_MODEL_DIR"])
torch.save(model.state_dict(), folder / "model.pth")
(folder / "code").mkdir()
shutil.copy("inference.py", folder / "code")
"""
INFERENCE = b"""
import torch

def model_fn(folder):
    model = torch.nn.Linear(2, 1)
    model.load_state_dict(torch.load(f"{folder}/model.pth", weights_only=True))
    return model
"""


def archive(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def test_a_script_trains_and_its_model_scores(runtime: JobRuntime) -> None:
    uri = f"s3://{BUCKET}/torch/sourcedir.tar.gz"
    runtime.storage.write_bytes(uri, archive({"train.py": TRAIN, "inference.py": INFERENCE}))
    request = training.training_request("torch", "torch")
    del request["InputDataConfig"]
    request["AlgorithmSpecification"] |= {
        "TrainingImage": IMAGE.format("training"),
        "MetricDefinitions": [{"Name": "loss", "Regex": "loss=(.*?);"}],
    }
    request["HyperParameters"] = {
        "sagemaker_program": '"train.py"',
        "sagemaker_submit_directory": f'"{uri}"',
        "epochs": "400",
    }
    job = training.run_training(runtime, request)
    log = training.log_of(runtime, "torch")
    assert job["TrainingJobStatus"] == "Completed", log
    assert "torch 2.6.0" in log
    assert job["FinalMetricDataList"][0]["Value"] < 0.1

    model = {"Image": IMAGE.format("inference"), "ModelDataUrl": job["ModelArtifacts"]["S3ModelArtifacts"]}
    transform.create_model(runtime, "torch", model)
    scored = transform.run_transform(runtime, "torch", b"1,1\n0,0\n")
    assert scored["TransformJobStatus"] == "Completed", transform.log_of(runtime, "torch")
    first, second = (float(line) for line in transform.result(runtime, "torch").split())
    assert first == pytest.approx(6, abs=1.0)
    assert second == pytest.approx(1, abs=1.0)
