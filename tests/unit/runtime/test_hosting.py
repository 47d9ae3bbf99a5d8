"""The client of an endpoint's container, before servers that answer badly."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from sagemaker_local_runtime.exceptions import AwsError
from sagemaker_local_runtime.hosting.server import ModelServer


@pytest.fixture
def truncating() -> Iterator[int]:
    """Serve one answer that ends before its Content-Length, and return the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(60)

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1 << 16)
                connection.sendall(
                    b"HTTP/1.0 200 OK\r\nContent-Type: text/csv\r\nContent-Length: 100\r\n\r\n1,2\n"
                )
                connection.shutdown(socket.SHUT_RDWR)

        thread = threading.Thread(target=answer)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def test_an_answer_that_ends_early_is_an_error(truncating: int) -> None:
    container: Any = SimpleNamespace(
        log=SimpleNamespace(stream="e"), read_message=lambda path: str(truncating)
    )
    image: Any = None
    with pytest.raises(AwsError, match="IncompleteRead") as caught:
        ModelServer(container, image, {}).ask(b"1", None, None)
    assert (caught.value.code, caught.value.status) == ("ServiceUnavailable", 503)
    assert "has ended, and is being" not in caught.value.message
