"""Evaluate: predict the test rows with the trained model, and write the error to evaluation.json."""

from __future__ import annotations

import json
import tarfile
import tempfile
from pathlib import Path

import numpy as np
import xgboost

INPUT = Path("/opt/ml/processing/input")
OUTPUT = Path("/opt/ml/processing/output")


def evaluate(archive: Path, test: Path, output: Path) -> None:
    """Write ``evaluation.json`` with the root mean squared error, which the gate reads.

    :param archive: the archive that the training job wrote.
    :param test: the test rows, the label first, without a header.
    :param output: the folder to write in.
    """
    rows = np.loadtxt(test, delimiter=",", ndmin=2)
    errors = load_model(archive).predict(xgboost.DMatrix(rows[:, 1:])) - rows[:, 0]
    report = {"rmse": {"value": float(np.sqrt(np.mean(errors**2)))}, "rows": len(rows)}
    output.mkdir(parents=True, exist_ok=True)
    (output / "evaluation.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(report))


def load_model(archive: Path) -> xgboost.Booster:
    """Return the model in the archive of a training job."""
    booster = xgboost.Booster()
    with tempfile.TemporaryDirectory() as folder, tarfile.open(archive) as tar:
        tar.extract("xgboost-model", folder, filter="data")
        # As bytes, because the file has no extension that names its format.
        booster.load_model(bytearray(Path(folder, "xgboost-model").read_bytes()))
    return booster


if __name__ == "__main__":
    evaluate(INPUT / "model" / "model.tar.gz", INPUT / "test" / "test.csv", OUTPUT / "evaluation")
