"""ScoringReport: compare the predictions with the raw rows and describe them."""

from __future__ import annotations

import argparse
import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from feature_transform import BadDataError, input_files, run_job

INPUT = Path("/opt/ml/processing/input")
OUTPUT = Path("/opt/ml/processing/output")

BINS = 10


def report(batch: Path, predictions: Path) -> dict[str, Any]:
    """Return the report on one batch.

    Only the predictions for files of this batch are counted: the output prefix may hold older ones.

    :param batch: folder of the raw rows.
    :param predictions: folder of the predictions, ``<file>.out`` for each raw file.
    :raise BadDataError: at a prediction that is no number, naming file and line.
    """
    files: list[dict[str, Any]] = []
    values: list[float] = []
    for path in input_files(batch):
        name = path.relative_to(batch).as_posix()
        scored = read_predictions(predictions / f"{name}.out")
        files.append({"name": name, "rows_in": count_rows(path), "rows_out": len(scored)})
        values.extend(scored)
    rows_in = sum(file["rows_in"] for file in files)
    return {
        "rows_in": rows_in,
        "rows_out": len(values),
        "rows_missing": rows_in - len(values),
        "predictions": describe(values),
        "files": files,
    }


def count_rows(path: Path) -> int:
    """Return the number of rows of a CSV file."""
    with path.open(newline="", encoding="utf-8") as file:
        return sum(1 for _ in csv.reader(file))


def read_predictions(path: Path) -> list[float]:
    """Return the predictions in a batch transform's output file; none when it is missing."""
    if not path.is_file():
        return []
    values = []
    for line, text in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise BadDataError(f"{path.name}, line {line}, column 1: {text!r} is not a finite number.")
        values.append(value)
    return values


def describe(values: list[float]) -> dict[str, Any]:
    """Return count, mean, least and greatest value, and a histogram; no numbers for no values."""
    if not values:
        return {"count": 0, "mean": None, "min": None, "max": None, "histogram": {"edges": [], "counts": []}}
    counts, edges = np.histogram(values, bins=BINS)
    return {
        "count": len(values),
        "mean": float(np.mean(values)),
        "min": min(values),
        "max": max(values),
        "histogram": {"edges": edges.tolist(), "counts": counts.tolist()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model-package-arn", required=True)
    parser.add_argument("--predictions-uri", required=True)
    arguments = parser.parse_args()
    document = {**vars(arguments), **report(INPUT / "batch", INPUT / "predictions")}
    target = OUTPUT / "report" / "report.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(document, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    print(f"{document['rows_in']} rows in, {document['rows_out']} rows out")


if __name__ == "__main__":
    run_job(main)
