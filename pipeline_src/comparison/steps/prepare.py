"""ComparisonPrepare: turn the labelled holdout into the features of each model, its labels and its slices."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import boto3
import numpy as np
from feature_transform import (
    BadDataError,
    Column,
    FeatureTransform,
    Table,
    csv_rows,
    input_files,
    read_table,
    run_job,
    write_matrix,
)
from numpy.typing import NDArray

INPUT = Path("/opt/ml/processing/input")
OUTPUT = Path("/opt/ml/processing/output")

#: The last column of a row.
LABEL = Column("label", required=True)

#: What stands for the URI of a transform if the package records none.
NO_TRANSFORM = "none"

#: Fewer rows say nothing about a model.
MIN_ROWS = 20


def prepare(
    holdout: Path, output: Path, transforms: Mapping[str, FeatureTransform | None], *, sliced_by: str
) -> int:
    """Write the features of each model, the labels and the slices.

    :param holdout: folder of labelled rows.
    :param output: folder to write ``rows`` and a folder for each model in.
    :param transforms: the transform of each model; None takes the rows as they are, without the label.
    :param sliced_by: the model whose transform says which columns have categories.
    :return: the number of rows.
    :raise BadDataError: at a bad row, or when there are too few.
    """
    files = input_files(holdout)
    labels, slices = np.empty(0), {}
    for name, transform in transforms.items():
        table = read_rows(files, transform)
        labels = np.asarray(table[LABEL.name], dtype=float)
        if len(labels) < MIN_ROWS:
            raise BadDataError(f"{holdout} holds {len(labels)} rows, expected at least {MIN_ROWS}.")
        write_matrix(output / name / "features.csv", features_of(table, transform))
        if name == sliced_by and transform is not None:
            slices = slices_of(table, transform)
    write_matrix(output / "rows" / "labels.csv", labels.reshape(-1, 1))
    (output / "rows" / "slices.json").write_text(json.dumps(slices), encoding="utf-8")
    return len(labels)


def read_rows(files: list[Path], transform: FeatureTransform | None) -> Table:
    """Read labelled rows in the columns of a transform; without one, every column is a number."""
    if transform is not None:
        return read_table(files, [*transform.columns, LABEL])
    first = next((cells for path in files for _, cells in csv_rows(path)), [])
    features = len(first) - 1
    if features < 1:
        raise BadDataError(
            f"The first row of {files[0].parent} is {first}, expected at least one feature and the label."
        )
    return read_table(files, [*(Column(f"column {n + 1}", required=True) for n in range(features)), LABEL])


def features_of(table: Table, transform: FeatureTransform | None) -> NDArray[np.float64]:
    """Return what the model reads, shape (rows, features)."""
    if transform is not None:
        return transform.apply(table)
    return np.column_stack([values for name, values in table.items() if name != LABEL.name])


def slices_of(table: Table, transform: FeatureTransform) -> dict[str, list[int]]:
    """Return the numbers of the rows of each category, by a name such as ``sex=F``."""
    return {
        f"{column.name}={category}": rows
        for column in transform.columns
        for category in column.categories
        if (rows := [row for row, value in enumerate(table[column.name]) if value == category])
    }


def recorded_transform(uri: str, s3: Any) -> FeatureTransform | None:
    """Return the transform at a URI; None if the package records none."""
    if uri == NO_TRANSFORM:
        return None
    location = urlparse(uri)
    stored = s3.get_object(Bucket=location.netloc, Key=location.path.lstrip("/"))
    return FeatureTransform.from_json(stored["Body"].read())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("challenger-package-arn", "challenger-transform", "champion-transform"):
        parser.add_argument(f"--{name}", required=True)
    arguments = parser.parse_args()
    s3 = boto3.client("s3", region_name=arguments.challenger_package_arn.split(":")[3])
    transforms = {
        "challenger": recorded_transform(arguments.challenger_transform, s3),
        "champion": recorded_transform(arguments.champion_transform, s3),
    }
    rows = prepare(INPUT / "holdout", OUTPUT, transforms, sliced_by="challenger")
    print(f"{rows} labelled rows")


if __name__ == "__main__":
    run_job(main)
