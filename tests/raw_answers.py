"""An endpoint that answers with any bytes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


@contextmanager
def answering(answer: bytes, *, reads: bool = True) -> Iterator[int]:
    """Yield the port of a server that answers every POST with these bytes, headers included, and hangs up.

    :param answer: the bytes.
    :param reads: whether it reads the request's body before; if not, the connection is reset, and the client
        may lose the answer.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            if reads:
                self.rfile.read(int(self.headers["Content-Length"]))
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
