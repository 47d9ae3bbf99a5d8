"""AbaloneProcess: split labelled rows, fit the features on the training rows, write what later steps read."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from feature_transform import (
    BadDataError,
    Column,
    FeatureTransform,
    Table,
    input_files,
    read_table,
    run_job,
    transform_files,
    write_matrix,
)

INPUT = Path("/opt/ml/processing/input")
OUTPUT = Path("/opt/ml/processing/output")

FEATURES = (
    Column("sex", categories=("F", "I", "M")),
    Column("length", minimum=0),
    Column("diameter", minimum=0),
    Column("height", minimum=0),
    Column("whole_weight", minimum=0),
    Column("shucked_weight", minimum=0),
    Column("viscera_weight", minimum=0),
    Column("shell_weight", minimum=0),
)
LABEL = Column("rings", minimum=0, required=True)

#: Share of the rows in each split; the rest is the test split.
TRAIN, VALIDATION = 0.70, 0.15

#: Fewer rows leave a split too small to say anything.
MIN_ROWS = 20


def preprocess(data: Path, batch: Path, output: Path, *, seed: int) -> dict[str, int]:
    """Write the splits with the label first, the transform, and the transformed batch.

    :param data: folder of labelled rows.
    :param batch: folder of raw rows without a label.
    :param output: folder to write ``train``, ``validation``, ``test``, ``feature_transform``, ``batch`` in.
    :param seed: decides which row goes into which split.
    :return: number of rows by output.
    :raise BadDataError: at a bad row, or when there are too few.
    """
    table = _labelled_rows(data)
    splits = split(len(table[LABEL.name]), seed)
    transform = FeatureTransform.fit(FEATURES, _take(table, splits["train"]))
    rows = {}
    for name, chosen in splits.items():
        part = _take(table, chosen)
        labels = np.asarray(part[LABEL.name], dtype=float).reshape(-1, 1)
        write_matrix(output / name / f"{name}.csv", np.hstack([labels, transform.apply(part)]))
        rows[name] = len(labels)
    target = output / "feature_transform" / "transform.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(transform.to_json(), encoding="utf-8")
    rows["batch"] = transform_files(transform, batch, output / "batch")
    return rows


def split(count: int, seed: int) -> dict[str, list[int]]:
    """Return the row numbers of each split: every row is in exactly one."""
    order = np.random.default_rng(seed).permutation(count).tolist()
    first, second = round(count * TRAIN), round(count * (TRAIN + VALIDATION))
    return {"train": order[:first], "validation": order[first:second], "test": order[second:]}


def _labelled_rows(data: Path) -> Table:
    files = input_files(data)
    table = read_table(files, [*FEATURES, LABEL])
    count = len(table[LABEL.name])
    if count < MIN_ROWS:
        raise BadDataError(f"{data} holds {count} rows, expected at least {MIN_ROWS} to split.")
    return table


def _take(table: Table, rows: list[int]) -> Table:
    return {name: [values[row] for row in rows] for name, values in table.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, required=True)
    arguments = parser.parse_args()
    rows = preprocess(INPUT / "data", INPUT / "batch", OUTPUT, seed=arguments.seed)
    print(", ".join(f"{name}: {count} rows" for name, count in rows.items()))


if __name__ == "__main__":
    run_job(main)
