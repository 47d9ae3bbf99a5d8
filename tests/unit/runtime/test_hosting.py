"""The clients of the servers in containers, before servers that answer badly."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from sagemaker_local_runtime.exceptions import AwsError
from sagemaker_local_runtime.hosting.server import ModelServer
from sagemaker_local_runtime.images.exceptions import UserInputError
from sagemaker_local_runtime.images.server import _invoke
from tests.raw_answers import answering

TRUNCATED = b"HTTP/1.0 200 OK\r\nContent-Type: text/csv\r\nContent-Length: 100\r\n\r\n1,2\n"


def test_an_answer_that_ends_early_is_an_error() -> None:
    image: Any = None
    with answering(TRUNCATED) as port:
        container: Any = SimpleNamespace(log=SimpleNamespace(stream="e"), read_message=lambda path: str(port))
        with pytest.raises(AwsError, match="IncompleteRead") as caught:
            ModelServer(container, image, {}).ask(b"1", None, None)
    assert (caught.value.code, caught.value.status) == ("ServiceUnavailable", 503)
    assert "has ended, and is being" not in caught.value.message


def test_the_answer_of_a_server_that_does_not_read_a_payload_is_the_reason() -> None:
    refusal = b"HTTP/1.0 413 Too Large\r\nContent-Length: 9\r\n\r\ntoo large"
    with answering(refusal, reads=False) as port, pytest.raises(UserInputError, match="413: too large"):
        _invoke(port, b"1" * 8_000_000, "text/csv", "text/csv")
