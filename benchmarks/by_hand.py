"""Run the abalone scripts by hand, one process after the other, with their files in one folder."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from stack.bootstrap import DATA_FILE, split_data
from stack.settings import ROOT

SOURCES = (
    "pipeline_src/abalone/steps/preprocess.py",
    "pipeline_src/abalone/steps/evaluate.py",
    "pipeline_src/container/feature_transform.py",
)
# What the xgboost container does with a training job in algorithm mode, and with a batch transform.
TRAIN = """
import tarfile, numpy, xgboost
def matrix(name):
    rows = numpy.loadtxt(f"{OUT}/{name}/{name}.csv", delimiter=",")
    return xgboost.DMatrix(rows[:, 1:], label=rows[:, 0])
train, validation = matrix("train"), matrix("validation")
parameters = {"objective": "reg:squarederror", "max_depth": 5, "eta": 0.2, "gamma": 4,
              "min_child_weight": 6, "subsample": 0.7, "seed": 2026}
model = xgboost.train(parameters, train, 50, evals=[(train, "train"), (validation, "validation")],
                      verbose_eval=False)
model.save_model(f"{OUT}/model.json")
with tarfile.open(f"{IN}/model/model.tar.gz", "w:gz") as archive:
    archive.add(f"{OUT}/model.json", "xgboost-model")
"""
TRANSFORM = """
import numpy, xgboost
model = xgboost.Booster(model_file=f"{OUT}/model.json")
rows = numpy.loadtxt(f"{OUT}/batch/holdout.csv", delimiter=",")
numpy.savetxt(f"{OUT}/holdout.csv.out", model.predict(xgboost.DMatrix(rows)))
"""


def by_hand(folder: Path) -> float:
    """Run preprocessing, training, evaluation and scoring, and return the seconds that they took.

    :param folder: an empty folder that replaces ``/opt/ml``.
    """
    inputs, outputs, code = (
        folder / "processing" / "input",
        folder / "processing" / "output",
        folder / "code",
    )
    objects = split_data(DATA_FILE)
    for name, key in (("data", "train/abalone.csv"), ("batch", "holdout/holdout.csv")):
        (inputs / name).mkdir(parents=True)
        (inputs / name / Path(key).name).write_bytes(objects[key])
    code.mkdir()
    for source in SOURCES:
        text = (ROOT / source).read_text()
        (code / Path(source).name).write_text(text.replace("/opt/ml", str(folder)))
    for name in ("model", "test"):
        (inputs / name).mkdir()
    prelude = f"IN, OUT = {str(inputs)!r}, {str(outputs)!r}\n"
    began = time.monotonic()
    _python(code, str(code / "preprocess.py"), "--seed", "2026")
    _python(code, "-c", prelude + TRAIN)
    (inputs / "test" / "test.csv").symlink_to(outputs / "test" / "test.csv")
    _python(code, str(code / "evaluate.py"))
    _python(code, "-c", prelude + TRANSFORM)
    seconds = time.monotonic() - began
    if not (outputs / "evaluation" / "evaluation.json").exists():
        raise SystemExit(f"the scripts wrote no evaluation below {outputs}")
    return seconds


def _python(code: Path, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, *arguments],
        env=os.environ | {"PYTHONPATH": str(code)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    if done.returncode:
        raise SystemExit(f"{arguments[0]} failed:\n{done.stdout}{done.stderr}")
