"""HTTP connections: kept open between requests, closed when they are idle or when the server stops."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, BinaryIO

from moto.moto_server.werkzeug_app import MotoRequestHandler  # noqa: TID253 - it is moto's handler
from werkzeug.serving import BaseWSGIServer

from sagemaker_local_runtime.endpoint.wire import error_answer

logger = logging.getLogger(__name__)

_IDLE_SECONDS = 60.0
_DRAINED_BYTES = 1024**2
_LINGER_SECONDS = 2.0


class Body:
    """The body of one request, which keeps track of how much is still unread.

    :param file: the connection to read from.
    :param length: the announced length.
    :param on_first_read: called before the first read, to tell a waiting client to go on.
    """

    def __init__(self, file: BinaryIO, length: int, on_first_read: Callable[[], None]) -> None:
        self._file = file
        self._on_first_read: Callable[[], None] | None = on_first_read
        self.unread = length

    @property
    def is_begun(self) -> bool:
        """Whether anything was read."""
        return self._on_first_read is None

    def read(self, size: int = -1) -> bytes:
        """Read at most ``size`` bytes, and never beyond the body."""
        self._begin()
        data = self._file.read(self.unread if size < 0 else min(size, self.unread))
        self.unread = self.unread - len(data) if data else 0
        return data

    def readline(self, size: int = -1) -> bytes:
        """Read one line of the body."""
        self._begin()
        data = self._file.readline(self.unread if size < 0 else min(size, self.unread))
        self.unread = self.unread - len(data) if data else 0
        return data

    def readinto(self, buffer: bytearray) -> int:
        """Read into a buffer, and never beyond the body."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def _begin(self) -> None:
        if self._on_first_read is not None:
            self._on_first_read()
            self._on_first_read = None


class RequestHandler(MotoRequestHandler):  # type: ignore[misc] # moto is untyped
    """One connection; the open ones are known, so that the server can close them when it stops.

    werkzeug closes every connection after one answer, because it cannot know whether the body was read. This
    class does know, which saves AWS's clients a handshake and a thread for each call.
    """

    # Headers and body are two writes; with Nagle's algorithm, each answer would be delayed by 40 ms.
    disable_nagle_algorithm = True
    timeout = _IDLE_SECONDS
    protocol_version = "HTTP/1.1"
    _open: set[RequestHandler] = set()  # noqa: RUF012 - shared by all connections on purpose
    _open_lock = threading.Lock()

    def setup(self) -> None:
        """Add the connection to the open ones."""
        super().setup()
        with self._open_lock:
            self._open.add(self)

    def finish(self) -> None:
        """Remove the connection from the open ones."""
        with self._open_lock:
            self._open.discard(self)
        super().finish()

    def handle_expect_100(self) -> bool:
        """Send no "100 Continue" yet, since the body may be refused unread."""
        return True

    def run_wsgi(self) -> None:
        """Answer one request, and leave the connection at the beginning of the next one."""
        self._body: Body | None = None
        self.environ = environ = self.make_environ()
        answer: dict[str, Any] = {}

        def start_response(status: str, headers: list[tuple[str, str]], _exc_info: Any = None) -> None:
            answer.update(status=status, headers=headers)

        try:
            chunks = self.server.app(environ, start_response)
            try:
                self._send(answer["status"], answer["headers"], chunks)
            finally:
                if hasattr(chunks, "close"):
                    chunks.close()
        except (ConnectionError, TimeoutError):
            self.close_connection = True
        except Exception:
            logger.exception("The application failed to answer a request")
            self.close_connection = True

    def make_environ(self) -> dict[str, Any]:
        """Return the WSGI environment with a body that counts what is unread."""
        environ: dict[str, Any] = super().make_environ()
        length = environ.get("CONTENT_LENGTH") or "0"
        if environ.get("wsgi.input_terminated"):
            self._continue()
            self.close_connection = True  # the end of a chunked body is not tracked here
        elif length.isascii() and length.isdigit():
            self._body = environ["wsgi.input"] = Body(self.rfile, int(length), self._continue)
            if not self._body.unread:
                self._body.read()  # a client may wait with an empty body, too
        else:
            self.close_connection = True
        return environ

    @property
    def _expects(self) -> bool:
        return bool(self.headers.get("Expect", "").strip().lower() == "100-continue")

    def _continue(self) -> None:
        if self._expects:
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _send(self, status: str, headers: list[tuple[str, str]], chunks: Iterable[bytes]) -> None:
        if "content-length" not in {name.lower() for name, _ in headers}:
            chunks = [b"".join(chunks)]
            if not status.startswith(("1", "204", "304")) and self.command != "HEAD":
                headers = [*headers, ("Content-Length", str(len(chunks[0])))]
        unread = self._body.unread if self._body is not None else 0
        if self._body is not None and unread:
            # A client that was not told to go on keeps its body.
            kept = self._expects and not self._body.is_begun
            self.close_connection = self.close_connection or unread > _DRAINED_BYTES or kept
        code, _, phrase = status.partition(" ")
        self.send_response(int(code), phrase)
        for name, value in headers:
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        for chunk in chunks:
            if chunk and self.command != "HEAD":
                self.wfile.write(chunk)
        if self.close_connection:
            self._linger()
        elif self._body is not None and unread:
            self._body.read()

    def _linger(self) -> None:
        """Give the client time to read the answer: closing with unread data would reset the connection."""
        with contextlib.suppress(OSError):  # a client that has left needs no answer
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(_LINGER_SECONDS)
            deadline = time.monotonic() + _LINGER_SECONDS
            while time.monotonic() < deadline and self.connection.recv(65536):
                pass

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer a request that is not valid HTTP, in AWS's error format."""
        self.close_connection = True
        answer = error_answer("json", "MalformedHttpRequest", message or explain or "", status=code)
        self.send_response(code)
        for name, value in {**answer.headers, "Content-Length": str(len(answer.body))}.items():
            self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(answer.body)
        self._linger()

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - werkzeug's name
        """Write werkzeug's access log at level DEBUG only."""
        logger.debug("%s %s", self.address_string(), message % args if args else message)


def close_connections(server: BaseWSGIServer) -> None:
    """Close the connections of one server that idle clients keep open."""
    with RequestHandler._open_lock:
        handlers = [handler for handler in RequestHandler._open if handler.server is server]
    for handler in handlers:
        try:
            handler.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            continue  # the client has closed it already
