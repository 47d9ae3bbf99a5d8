"""Read the data set of a check: CSV with or without a header, JSON lines, or JSON documents.

https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-create-baseline.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd  # noqa: TID253 - this module is about tables

from sagemaker_local_runtime.images.exceptions import UserInputError

_INTEGRAL = re.compile(r"\s*[-+]?[0-9]+\s*")
_FRACTIONAL = re.compile(r"\s*[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?\s*")
# The square of a larger number is infinite, which JSON cannot hold; it counts as text.
_LARGEST = 1e150
_KINDS = {bool: "String", int: "Integral", float: "Fractional"}
_FORMATS = '{"csv": {"header": true}} or {"json": {"lines": true}}'


@dataclass(frozen=True)
class Column:
    """The present values of one column.

    :param name: the column's name; without a header, ``_c0`` and so on.
    :param values: the values as they are in the file: texts, or values of JSON.
    :param kinds: of each of them ``Integral``, ``Fractional`` or ``String``.
    :param missing: how many rows have no value.
    """

    name: str
    values: pd.Series
    kinds: pd.Series
    missing: int

    @property
    def inferred_type(self) -> str:
        """The type that fits all values; ``Unknown`` if there are none."""
        found = set(self.kinds.unique())
        return next((kind for kind in ("String", "Fractional", "Integral") if kind in found), "Unknown")


@dataclass(frozen=True)
class Dataset:
    """A table.

    :param rows: the number of its rows.
    :param columns: its columns.
    """

    rows: int
    columns: list[Column]

    def column(self, attribute: str) -> Column:
        """Return a column by its name, its index, or its JSON path.

        :raises UserInputError: there is none.
        """
        name = attribute.removeprefix("$.")
        indices = {str(number): column for number, column in enumerate(self.columns)}
        for column in self.columns:
            if name == column.name:
                return column
        if name in indices:
            return indices[name]
        known = ", ".join(column.name for column in self.columns)
        raise UserInputError(
            f"The data set has no column {attribute!r}. It has {known}; name one of them, or its index."
        )


def read_dataset(source: Path, form: str) -> Dataset:
    """Read all files in a folder as one table.

    :param source: the folder.
    :param form: JSON text, as the SDK's ``DatasetFormat`` makes it.
    :raises UserInputError: the format is not supported, or a file does not have it.
    """
    kind, options = _format(form)
    read, kind_of = (_read_csv, _text_kind) if kind == "csv" else (_read_json, _json_kind)
    tables: list[pd.DataFrame] = []
    for path in sorted(source.rglob("*")):
        if path.is_file() and path.stat().st_size:
            try:
                tables.append(read(path, options))
            except (ValueError, TypeError) as error:
                raise UserInputError(f"{path.name} cannot be read as {kind}: {error}") from error
            if kind == "csv" and list(tables[-1].columns) != list(tables[0].columns):
                raise UserInputError(f"{path.name} has other columns than the files before it.")
    if not sum(map(len, tables)):
        raise UserInputError("The data set has no rows. Name a file, or a folder with files, that has some.")
    table = pd.concat(tables, ignore_index=True)
    columns = []
    for name in table:
        values = table[name].dropna()
        columns.append(Column(str(name), values, values.map(kind_of), len(table) - len(values)))
    return Dataset(len(table), columns)


def _format(text: str) -> tuple[str, Mapping[str, Any]]:
    try:
        ((kind, options),) = json.loads(text).items()
    except (ValueError, AttributeError) as error:
        raise UserInputError(f"dataset_format is {text!r}; expected {_FORMATS}.") from error
    if kind not in {"csv", "json"}:
        raise UserInputError(f"dataset_format {kind!r} is not supported; expected {_FORMATS}.")
    return kind, options or {}


def _read_csv(path: Path, options: Mapping[str, Any]) -> pd.DataFrame:
    header = options.get("header", True)
    table = pd.read_csv(
        path, header=0 if header else None, dtype=object, keep_default_na=False, na_values=[""]
    )
    # The names that Spark, on which AWS's container is built, gives to columns without a header.
    return table if header else table.add_prefix("_c")


def _read_json(path: Path, options: Mapping[str, Any]) -> pd.DataFrame:
    text = path.read_text(encoding="utf-8")
    if options.get("lines", True):
        found = [json.loads(line) for line in text.splitlines() if line.strip()]
    else:
        document = json.loads(text)
        found = document if isinstance(document, list) else [document]
    for row in found:
        if not isinstance(row, dict) or any(isinstance(value, (dict, list)) for value in row.values()):
            raise TypeError(f"expected flat JSON objects, not {json.dumps(row)[:100]}")
    return pd.DataFrame(found, dtype=object)


@lru_cache(maxsize=100_000)  # most columns repeat their values
def _text_kind(value: str) -> str:
    if not _FRACTIONAL.fullmatch(value) or abs(float(value)) >= _LARGEST:
        return "String"
    return "Integral" if _INTEGRAL.fullmatch(value) else "Fractional"


def _json_kind(value: Any) -> str:
    kind = _KINDS.get(type(value), "String")
    return kind if kind == "String" or abs(value) < _LARGEST else "String"
