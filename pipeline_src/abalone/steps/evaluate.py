"""AbaloneEval: score the test split with the trained model and report the mean squared error."""

from __future__ import annotations

import json
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import xgboost  # noqa: TID253 - runs in the xgboost container

INPUT = Path("/opt/ml/processing/input")
OUTPUT = Path("/opt/ml/processing/output")

#: The file that the xgboost container writes in algorithm mode.
MODEL_FILE = "xgboost-model"


def evaluate(model: Path, test: Path, evaluation: Path) -> dict[str, Any]:
    """Write ``evaluation.json``.

    :param model: the archive that the training job wrote.
    :param test: CSV of the test split, the label first, no header.
    :param evaluation: folder to write the report in.
    :return: the report.
    """
    rows = np.loadtxt(test, delimiter=",", ndmin=2)
    labels, features = rows[:, 0], rows[:, 1:]
    errors = labels - load_model(model).predict(xgboost.DMatrix(features))
    report = {
        "regression_metrics": {
            "mse": {"value": float(np.mean(errors**2)), "standard_deviation": float(np.std(errors))}
        }
    }
    evaluation.mkdir(parents=True, exist_ok=True)
    (evaluation / "evaluation.json").write_text(
        json.dumps(report, indent=2, allow_nan=False) + "\n", encoding="utf-8"
    )
    return report


def load_model(archive: Path) -> xgboost.Booster:
    """Return the model in a training job's archive."""
    booster = xgboost.Booster()
    with tempfile.TemporaryDirectory() as folder, tarfile.open(archive) as tar:
        tar.extract(MODEL_FILE, folder, filter="data")
        # As bytes: the file has no extension to tell its format by.
        booster.load_model(bytearray(Path(folder, MODEL_FILE).read_bytes()))
    return booster


def main() -> None:
    report = evaluate(INPUT / "model" / "model.tar.gz", INPUT / "test" / "test.csv", OUTPUT / "evaluation")
    print(json.dumps(report))


if __name__ == "__main__":
    main()
