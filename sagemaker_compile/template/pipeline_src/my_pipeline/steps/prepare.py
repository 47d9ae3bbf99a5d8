"""Prepare: split the rows of a CSV into train.csv, validation.csv and test.csv, without a header."""

from __future__ import annotations

from pathlib import Path

import numpy as np

INPUT = Path("/opt/ml/processing/input")
OUTPUT = Path("/opt/ml/processing/output")
SEED = 2026
#: The shares of the rows to train and to validate with; the rest is for the test.
TRAIN, VALIDATION = 0.7, 0.15
#: With fewer rows, the test would measure chance.
MIN_ROWS = 20


def prepare(data: Path, output: Path) -> None:
    """Write the three files, each in a folder of its own.

    :param data: a folder with CSV files; each has a header, and the label in its first column.
    :param output: the folder to write in.
    :raises ValueError: there are too few rows, or a value is not a number.
    """
    files = sorted(data.glob("*.csv"))
    tables = [np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2) for path in files]
    count = sum(len(table) for table in tables)
    if count < MIN_ROWS:
        raise ValueError(
            f"InputData has {count} rows in {len(files)} CSV files; at least {MIN_ROWS} are needed."
        )
    rows = np.random.default_rng(SEED).permutation(np.concatenate(tables))
    bounds = [int(count * TRAIN), int(count * (TRAIN + VALIDATION))]
    for name, part in zip(("train", "validation", "test"), np.split(rows, bounds), strict=True):
        (output / name).mkdir(parents=True, exist_ok=True)
        np.savetxt(output / name / f"{name}.csv", part, delimiter=",", fmt="%.10g")
        print(f"{name}: {len(part)} rows")


if __name__ == "__main__":
    prepare(INPUT / "data", OUTPUT)
