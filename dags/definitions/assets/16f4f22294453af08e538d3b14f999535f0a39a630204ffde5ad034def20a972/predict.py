"""AbalonePredict: predict the rings of the test split with the best model of the tuning job."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xgboost  # noqa: TID253 - runs in the xgboost container
from evaluate import load_model  # the script of AbaloneEval

INPUT = Path("/opt/ml/processing/input")
OUTPUT = Path("/opt/ml/processing/output")


def predict(model: Path, test: Path, predictions: Path) -> int:
    """Write ``predictions.csv`` with the columns prediction and rings.

    :param model: the archive that the training job wrote.
    :param test: CSV of the test split, the label first, no header.
    :param predictions: folder to write in.
    :return: the number of rows.
    """
    rows = np.loadtxt(test, delimiter=",", ndmin=2)
    found = load_model(model).predict(xgboost.DMatrix(rows[:, 1:]))
    predictions.mkdir(parents=True, exist_ok=True)
    np.savetxt(
        predictions / "predictions.csv",
        np.column_stack([found, rows[:, 0]]),
        fmt="%.6g",
        delimiter=",",
        header="prediction,rings",
        comments="",
    )
    return len(rows)


def main() -> None:
    rows = predict(INPUT / "model" / "model.tar.gz", INPUT / "test" / "test.csv", OUTPUT / "predictions")
    print(f"{rows} predictions")


if __name__ == "__main__":
    main()
