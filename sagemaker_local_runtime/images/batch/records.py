"""Records of a batch transform job: filtered before the request, joined and filtered after it."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from sagemaker_local_runtime.images.batch.json_path import JsonPath
from sagemaker_local_runtime.images.exceptions import UserInputError
from sagemaker_local_runtime.images.handler import media_type

_OUTPUT, _INPUT = "SageMakerOutput", "SageMakerInput"


def is_json(content_type: str) -> bool:
    """Return whether records of this type are JSON values; otherwise they are CSV."""
    kind = media_type(content_type)
    if kind.startswith("application/json"):
        return True
    if kind == "text/csv":
        return False
    raise UserInputError(
        f"Filters and joins need text/csv or application/json (or JSON Lines) records, not {content_type!r}."
    )


def parse(record: bytes, *, json_format: bool) -> Any:
    """Return a record's value: any JSON value, or the list of the fields of a CSV row."""
    text = record.decode("utf-8").strip("\r\n")
    if not json_format:
        return next(csv.reader([text]), [])
    try:
        return json.loads(text)
    except ValueError as error:
        raise UserInputError(f"Invalid JSON record {text[:80]!r}: {error}") from error


def encode(value: Any, *, json_format: bool) -> bytes:
    """Return a value as one line."""
    if json_format:
        return json.dumps(value).encode()
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(value if isinstance(value, list) else [value])
    return line.getvalue().encode()


def filter_input(record: bytes, path: JsonPath, content_type: str) -> bytes:
    """Return the part of a record that is sent to the container."""
    if path.is_identity:
        return record
    json_format = is_json(content_type)
    return encode(path.apply(parse(record, json_format=json_format)), json_format=json_format)


def finish(
    record: bytes, output: bytes, *, join: bool, path: JsonPath, content_type: str, accept: str
) -> bytes:
    """Return the output line of a record, after join and filter.

    :param record: the record as it was before the input filter.
    :param output: the container's answer for it.
    """
    if not join and path.is_identity:
        return output
    json_format = is_json(accept)
    value = parse(output, json_format=json_format)
    if join:
        value = _join(parse(record, json_format=is_json(content_type)), value, json_format=json_format)
    return encode(path.apply(value), json_format=json_format)


def _join(record: Any, output: Any, *, json_format: bool) -> Any:
    if not json_format:
        return [*record, *output]
    if isinstance(record, dict):
        return {**record, _OUTPUT: output}
    return {_INPUT: record, _OUTPUT: output}


def split_response(body: bytes, content_type: str, count: int) -> list[bytes]:
    """Return the answer for each record of a request.

    :raises UserInputError: the number of answers differs from the number of records.
    """
    if count == 1:
        return [body.strip(b"\r\n")]
    lines = [line.rstrip(b"\r") for line in body.split(b"\n") if line.strip()]
    if len(lines) == count:
        return lines
    values = _listed(body, content_type)
    if len(values) == count:
        return [json.dumps(value).encode() for value in values]
    raise UserInputError(
        f"The container answered {max(len(lines), len(values))} records to a request of {count}: "
        "a join or filter cannot match them. Use BatchStrategy SingleRecord."
    )


def _listed(body: bytes, content_type: str) -> list[Any]:
    """Return the elements of a JSON answer: a list, or the list under its only key."""
    if "json" not in content_type:
        return []
    try:
        value = json.loads(body)
    except ValueError:
        return []
    if isinstance(value, dict) and len(value) == 1:
        value = next(iter(value.values()))
    return value if isinstance(value, list) else []
