"""Requests of a batch transform job: records grouped by strategy and payload limit."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from sagemaker_local_runtime.images.batch.json_path import JsonPath
from sagemaker_local_runtime.images.batch.records import filter_input
from sagemaker_local_runtime.images.exceptions import UserInputError


class PayloadTooLargeError(UserInputError):
    """A record is larger than the largest payload."""

    status = 413


@dataclass(frozen=True)
class Request:
    """One request to the model's first container.

    :param records: its records as they are in the input.
    :param payload: the bytes that are sent.
    """

    records: list[bytes]
    payload: bytes


@dataclass(frozen=True)
class Splitter:
    """Splits inputs into requests.

    :param by_line: whether each line is a record; otherwise the whole file is one.
    :param many: whether a request contains as many records as fit; otherwise one.
    :param limit: the largest payload in bytes; 0 means no limit.
    :param input_filter: the part of a record that is sent.
    :param content_type: the content type of the records.
    :param gzipped: whether the files are compressed.
    """

    by_line: bool
    many: bool
    limit: int
    input_filter: JsonPath
    content_type: str
    gzipped: bool

    def requests(self, path: Path) -> Iterator[Request]:
        """Yield the requests of one input file in order."""
        records: list[bytes] = []
        payload: list[bytes] = []
        size = 0
        for record in self._records(path):
            sent = filter_input(record, self.input_filter, self.content_type)
            if self.limit and len(sent) > self.limit:
                raise PayloadTooLargeError(
                    f"Too much data for max payload size: a record has {len(sent)} bytes, "
                    f"MaxPayloadInMB allows {self.limit}."
                )
            full = self.limit and size + len(sent) + 1 > self.limit
            if records and (full or not self.many):
                yield Request(records, b"\n".join(payload))
                records, payload, size = [], [], 0
            records.append(record)
            payload.append(sent)
            size += len(sent) + 1
        if records:
            yield Request(records, b"\n".join(payload))

    def _records(self, path: Path) -> Iterator[bytes]:
        with gzip.open(path) if self.gzipped else path.open("rb") as file:
            if not self.by_line:
                yield file.read()
                return
            for line in file:
                record = line.rstrip(b"\r\n")
                if record:
                    yield record


def write_frame(file: IO[bytes], body: bytes, content_type: str) -> None:
    """Write one container's answer for the next container to read."""
    header = json.dumps({"length": len(body), "content_type": content_type})
    file.write(header.encode() + b"\n" + body)


def read_frames(path: Path) -> Iterator[tuple[bytes, str]]:
    """Yield what :func:`write_frame` wrote: body and content type."""
    with path.open("rb") as file:
        for line in file:
            header: dict[str, Any] = json.loads(line)
            yield file.read(header["length"]), header["content_type"]
