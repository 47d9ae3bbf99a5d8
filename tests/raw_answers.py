"""An endpoint that answers with any bytes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


@contextmanager
def answering(answer: bytes) -> Iterator[int]:
    """Answer every POST with the same bytes, headers included, hang up, and give the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            # A connection that is closed before all of the request is read is reset, which loses the answer.
            self.rfile.read(int(self.headers["Content-Length"]))
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        yield server.server_port
        server.shutdown()
