"""What answers the requests of a batch transform job inside a container."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Response:
    """What a container answers to one request.

    :param body: the predictions, encoded.
    :param content_type: how they are encoded.
    """

    body: bytes
    content_type: str


# Payload, its content type, what is accepted: the response. It raises ImageError.
Handler = Callable[[bytes, str, str], Response]
