"""Check the labelled holdout of a comparison, before anything is started."""

from __future__ import annotations

import csv
from collections.abc import Sequence

from sagemaker_pipelines.aws.client import SageMakerClient
from sagemaker_pipelines.aws.objects import split_s3_uri
from sagemaker_pipelines.exceptions import MissingDataError, ParameterError
from sagemaker_pipelines.reading import finite_number, parse_json

# Enough for the first row of any table that a batch transform can score in a request.
MAX_ROW_BYTES = 256 * 1024


def check_holdout(client: SageMakerClient, uri: str, transform_uri: str | None) -> None:
    """Refuse a holdout that is missing, or whose first row has no label after its features.

    :param client: calls AWS.
    :param uri: S3 URI of labelled rows: CSV without a header, the label in the last column.
    :param transform_uri: S3 URI of the transform that says which columns come before the label; None accepts
        any number of columns.
    :raises MissingDataError: nothing is stored at the URI.
    :raises ParameterError: the first row is not labelled, or the transform cannot be read.
    """
    first = next(client.data_objects(uri), None)
    if first is None:
        raise MissingDataError({"holdout": uri})
    cells = _first_row(client, first)
    expected = None if transform_uri is None else [*_columns(client, transform_uri), "the label"]
    if (expected is not None and len(cells) != len(expected)) or len(cells) < 2 or not _is_number(cells[-1]):
        wanted = ", ".join(expected) if expected else "features, and the label"
        raise ParameterError(
            f"The holdout {first} is not labelled: its first row has {len(cells)} columns and ends with "
            f"{cells[-1]!r}; expected {f'{len(expected)} columns' if expected else 'at least 2 columns'} "
            f"({wanted}), of which the last one is a number, and no header. Nothing was started. Add the "
            "label, or correct the URI."
        )


def _first_row(client: SageMakerClient, uri: str) -> Sequence[str]:
    bucket, key = split_s3_uri(uri)
    answer = client.s3.get_object(Bucket=bucket, Key=key, Range=f"bytes=0-{MAX_ROW_BYTES - 1}")
    text = answer["Body"].read().decode("utf-8", errors="replace")
    return next(csv.reader(text.splitlines()), None) or [""]


def _columns(client: SageMakerClient, uri: str) -> list[str]:
    try:
        return [str(item["column"]["name"]) for item in parse_json(client.read_object(uri))["columns"]]
    except (KeyError, TypeError, ValueError) as error:
        raise ParameterError(
            f"The transform {uri} of the model package cannot be read ({type(error).__name__}: {error}); "
            "expected the JSON that the training pipeline writes. Nothing was started. Register the model "
            "with the transform that it was trained with."
        ) from error


def _is_number(text: str) -> bool:
    try:
        finite_number(text)
    except ValueError:
        return False
    return True
