"""Read the data of the XGBoost container, label-first CSV and libsvm, into matrices."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import xgboost  # noqa: TID253 - this module makes its matrices

from sagemaker_local_runtime.images.exceptions import UnsupportedMediaTypeError, UserInputError
from sagemaker_local_runtime.images.handler import media_type

_CSV = {"csv", "text/csv"}
_LIBSVM = {"libsvm", "text/libsvm", "text/x-libsvm"}


def read_channel(folder: Path, content_type: str | None, *, csv_weights: bool = False) -> Any:
    """Return the matrix of all files in a training channel, in name order.

    :param folder: the channel's folder.
    :param content_type: the channel's content type; by default libsvm, as in the container.
    :param csv_weights: whether the second column of CSV holds the rows' weights.
    :return: an ``xgboost.DMatrix`` of shape (rows, features) with labels.
    :raises UserInputError: there are no data, or they are not of this type.
    """
    kind = media_type(content_type or "libsvm")
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    if not any(path.stat().st_size for path in files):
        raise UserInputError(f"No data in the channel {folder.name!r}.")
    if kind in _CSV:
        tables = [_read_csv(path.read_bytes(), path.name) for path in files if path.stat().st_size]
        return _labelled(np.concatenate(tables), csv_weights)
    if kind in _LIBSVM:
        return _read_libsvm(files)
    raise UserInputError(
        f"The channel {folder.name!r} has the content type {content_type!r}: "
        "the local runtime supports text/csv and text/libsvm."
    )


def read_payload(payload: bytes, content_type: str) -> Any:
    """Return the matrix of a request's records, which have no label.

    :raises UnsupportedMediaTypeError: the type is not supported, or the payload is not of this type.
    """
    kind = media_type(content_type or "text/csv")
    try:
        if kind in _CSV:
            return xgboost.DMatrix(_read_csv(payload.strip(), "payload"))
        if kind in _LIBSVM:
            return xgboost.DMatrix(_sparse([io.BytesIO(payload.strip() + b"\n")])[0])
    except (UserInputError, ValueError) as error:
        raise UnsupportedMediaTypeError(
            f"Loading {kind} data failed with exception, please ensure data is in {kind} format: {error}"
        ) from error
    raise UnsupportedMediaTypeError(
        f"Content-type {content_type} not supported. Supported content-types are text/csv and text/libsvm."
    )


def _labelled(table: Any, csv_weights: bool) -> Any:
    first = 2 if csv_weights else 1
    if table.shape[1] <= first:
        raise UserInputError(f"CSV rows have {table.shape[1]} columns: a label and features are expected.")
    weights = table[:, 1] if csv_weights else None
    return xgboost.DMatrix(table[:, first:], label=table[:, 0], weight=weights)


def _read_csv(content: bytes, name: str) -> Any:
    """Return a table of shape (rows, columns); an empty field is missing."""
    try:
        return np.loadtxt(io.BytesIO(content), delimiter=",", dtype=np.float32, ndmin=2)
    except ValueError:
        return _read_csv_with_gaps(content, name)


def _read_csv_with_gaps(content: bytes, name: str) -> Any:
    rows: list[list[float]] = []
    for number, fields in enumerate(csv.reader(io.StringIO(content.decode("utf-8", "replace"))), start=1):
        if not fields:
            continue
        for column, field in enumerate(fields, start=1):
            try:
                float(field or "nan")
            except ValueError:
                raise UserInputError(
                    f"{name}: row {number}, column {column} is {field!r}: "
                    "expected a number and no header row."
                ) from None
        rows.append([float(field or "nan") for field in fields])
        if len(fields) != len(rows[0]):
            raise UserInputError(
                f"{name}: row {number} has {len(fields)} columns: "
                f"expected {len(rows[0])}, as in the first row."
            )
    return np.asarray(rows, dtype=np.float32)


def _read_libsvm(files: list[Path]) -> Any:
    handles = [io.BytesIO(path.read_bytes()) for path in files]
    try:
        features, labels = _sparse(handles)
    except ValueError as error:
        raise UserInputError(f"{', '.join(path.name for path in files)}: not libsvm: {error}") from error
    return xgboost.DMatrix(features, label=labels)


def _sparse(handles: list[io.BytesIO]) -> tuple[Any, Any]:
    """Return features and labels; indices are kept as they are, as XGBoost's own reader does."""
    from scipy.sparse import vstack
    from sklearn.datasets import load_svmlight_files

    loaded = load_svmlight_files(handles, zero_based=True, dtype=np.float32)
    return vstack(loaded[0::2], format="csr"), np.concatenate(loaded[1::2])
