"""The function that answers the requests of a batch transform job inside a container."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Response:
    """A container's answer to one request.

    :param body: the predictions, encoded.
    :param content_type: their content type.
    """

    body: bytes
    content_type: str


# Takes the payload, its content type and the accepted type; returns the response or raises ImageError.
Handler = Callable[[bytes, str, str], Response]


def media_type(content_type: str) -> str:
    """Return a content type without its parameters, in lower case."""
    return content_type.partition(";")[0].strip().lower()
