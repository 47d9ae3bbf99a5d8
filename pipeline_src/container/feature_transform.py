"""Read raw rows and turn them into features, by a transform that is fitted once and kept as JSON.

Runs inside a job's container beside the step script: standard library and numpy only.
"""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FORMAT = 1

#: What a processing job leaves here becomes its ExitMessage.
EXIT_MESSAGE = Path("/opt/ml/output/message")

#: Column name to its values, one a row: numbers with NaN, or texts with "", where the cell is empty.
Table = dict[str, list[Any]]


class BadDataError(ValueError):
    """Data that cannot be used; the message names file, line and column."""


@dataclass(frozen=True)
class Column:
    """A column of the raw rows.

    :param name: its name, in messages and in the transform.
    :param categories: the texts allowed, or empty for a column of numbers.
    :param minimum: the least number allowed, or None.
    :param required: whether an empty cell is refused; otherwise it is imputed.
    """

    name: str
    categories: tuple[str, ...] = ()
    minimum: float | None = None
    required: bool = False

    def parse(self, text: str) -> float | str:
        """Return a cell's value; an empty cell is NaN or ``""``.

        :raise BadDataError: saying what was expected.
        """
        text = text.strip()
        if not text and self.required:
            raise BadDataError("the cell is empty")
        if self.categories:
            if text and text not in self.categories:
                raise BadDataError(f"{text!r} is unknown, expected one of {', '.join(self.categories)}")
            return text
        if not text:
            return math.nan
        try:
            number = float(text)
        except ValueError:
            raise BadDataError(f"{text!r} is not a number") from None
        if not math.isfinite(number):
            raise BadDataError(f"{text!r} is not a finite number")
        if self.minimum is not None and number < self.minimum:
            raise BadDataError(f"{text!r} is below {self.minimum:g}")
        return number


def input_files(folder: Path) -> list[Path]:
    """Return the data files below a folder, sorted; markers such as ``_SUCCESS`` are left out.

    :raise BadDataError: when there is none.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name[0] not in "._")
    if not files:
        raise BadDataError(f"{folder} holds no data file: check the S3 URI of this input.")
    return files


def read_table(files: Sequence[Path], columns: Sequence[Column]) -> Table:
    """Read CSV files without a header.

    :param files: the files, read in this order.
    :param columns: the columns that every row has, in order.
    :raise BadDataError: at the first bad row, naming file, line and column.
    """
    table: Table = {column.name: [] for column in columns}
    for path in files:
        for line, cells in csv_rows(path):
            if len(cells) != len(columns):
                raise BadDataError(
                    f"{path.name}, line {line}: {len(cells)} columns, expected {len(columns)} "
                    f"({', '.join(column.name for column in columns)})."
                )
            for number, (column, cell) in enumerate(zip(columns, cells, strict=True), start=1):
                try:
                    table[column.name].append(column.parse(cell))
                except BadDataError as error:
                    raise BadDataError(
                        f"{path.name}, line {line}, column {number} ({column.name}): {error}."
                    ) from None
    return table


def csv_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the cells of each row of a CSV file, with the number of its line.

    :raise BadDataError: when the file is not text, such as one that is compressed.
    """
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.reader(file)
        try:
            for cells in reader:
                yield reader.line_num, cells
        except (UnicodeDecodeError, csv.Error) as error:
            raise BadDataError(
                f"{path.name}, after line {reader.line_num}: {error}; expected CSV as UTF-8 text."
            ) from error


@dataclass(frozen=True)
class FittedColumn:
    """A column with what was learned from the training rows.

    :param column: the raw column.
    :param fill: what an empty cell becomes: the median, or the most frequent category.
    :param mean: subtracted from a number.
    :param scale: what the difference is divided by: the standard deviation, or 1 where that is 0.
    """

    column: Column
    fill: float | str
    mean: float = 0.0
    scale: float = 1.0

    @classmethod
    def fit(cls, column: Column, values: Sequence[Any]) -> FittedColumn:
        """Learn from the values of the training rows.

        :raise BadDataError: when all of them are empty.
        """
        if column.categories:
            counts = [sum(value == category for value in values) for category in column.categories]
            if not any(counts):
                raise BadDataError(f"Column {column.name} is empty in all {len(values)} training rows.")
            return cls(column, column.categories[int(np.argmax(counts))])
        numbers = np.asarray(values, dtype=float)
        known = numbers[~np.isnan(numbers)]
        if not known.size:
            raise BadDataError(f"Column {column.name} is empty in all {len(values)} training rows.")
        fill = float(np.median(known))
        filled = np.where(np.isnan(numbers), fill, numbers)
        return cls(column, fill, float(filled.mean()), float(filled.std()) or 1.0)

    def apply(self, values: Sequence[Any]) -> NDArray[np.float64]:
        """Return the features of this column: one, or one for each category; shape (rows, features)."""
        if self.column.categories:
            filled = [value or self.fill for value in values]
            return np.array(
                [[value == name for name in self.column.categories] for value in filled], float
            ).reshape(len(values), len(self.column.categories))
        numbers = np.asarray(values, dtype=float)
        numbers = np.where(np.isnan(numbers), self.fill, numbers)
        return ((numbers - self.mean) / self.scale).reshape(-1, 1)


@dataclass(frozen=True)
class FeatureTransform:
    """Imputes, scales and one-hot encodes raw rows.

    :param fitted: the columns in the order of the raw rows, which is the order of the features too.
    """

    fitted: tuple[FittedColumn, ...]

    @classmethod
    def fit(cls, columns: Sequence[Column], table: Table) -> FeatureTransform:
        """Learn from the training rows, and from no others."""
        return cls(tuple(FittedColumn.fit(column, table[column.name]) for column in columns))

    @property
    def columns(self) -> tuple[Column, ...]:
        """The raw columns that rows must have."""
        return tuple(item.column for item in self.fitted)

    def apply(self, table: Table) -> NDArray[np.float64]:
        """Return the features, shape (rows, features)."""
        return np.hstack([item.apply(table[item.column.name]) for item in self.fitted])

    def to_json(self) -> str:
        """Return the transform as JSON."""
        document = {"format": FORMAT, "columns": [asdict(item) for item in self.fitted]}
        return json.dumps(document, indent=2, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> FeatureTransform:
        """Return the transform that a training run wrote.

        :raise BadDataError: when it is of another format.
        """
        document: Mapping[str, Any] = json.loads(text)
        if document.get("format") != FORMAT:
            raise BadDataError(f"The transform has the format {document.get('format')!r}, expected {FORMAT}.")
        return cls(
            tuple(
                FittedColumn(
                    Column(
                        item["column"]["name"], tuple(item["column"]["categories"]), item["column"]["minimum"]
                    ),
                    item["fill"],
                    item["mean"],
                    item["scale"],
                )
                for item in document["columns"]
            )
        )


def transform_files(transform: FeatureTransform, source: Path, target: Path) -> int:
    """Apply a transform to every file of a folder, file by file under the same names.

    :return: the number of rows.
    """
    rows = 0
    for path in input_files(source):
        features = transform.apply(read_table([path], transform.columns))
        write_matrix(target / path.relative_to(source), features)
        rows += len(features)
    return rows


def write_matrix(path: Path, matrix: NDArray[np.float64]) -> None:
    """Write numbers as CSV without a header, in the nine digits that a 32-bit float has."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savetxt(path, matrix, fmt="%.9g", delimiter=",")


def run_job(main: Callable[[], None]) -> None:
    """Run a step's main function; bad data ends the job with a message and no traceback."""
    try:
        main()
    except BadDataError as error:
        EXIT_MESSAGE.parent.mkdir(parents=True, exist_ok=True)
        EXIT_MESSAGE.write_text(str(error)[:1024], encoding="utf-8")
        sys.exit(str(error))
