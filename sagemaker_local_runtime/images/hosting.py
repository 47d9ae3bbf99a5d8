"""Answer the requests of an endpoint, one at a time; the argument is the path of the plan.

The model is loaded first. Then the port is written to a file, which tells the local runtime that the
container is healthy. A request that takes too long ends the process, with a traceback in the log that shows
where it was; the local runtime starts it again.
"""

from __future__ import annotations

import faulthandler
import json
import os
import sys
import traceback
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

from sagemaker_local_runtime.images.batch.worker import load_handler
from sagemaker_local_runtime.images.exceptions import ImageError
from sagemaker_local_runtime.images.handler import Handler, Response


class _Request(BaseHTTPRequestHandler):
    """Answers one request."""

    server: _Server

    def do_POST(self) -> None:
        """Answer with what the model returns, or with its error."""
        if self.path != self.server.path:
            self.send_error(404)
            return
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status, response = self.server.answer(body, self.headers["Content-Type"], self.headers["Accept"])
        self.send_response(status)
        self.send_header("Content-Type", response.content_type)
        self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        self.wfile.write(response.body)

    def log_message(self, *args: Any) -> None:
        """Log nothing but what the model prints."""


class _Server(HTTPServer):
    """Listens on a free port of loopback.

    :param handler: answers a request.
    :param path: the only path, which nobody else knows.
    :param seconds: the longest that a request may take.
    """

    request_queue_size = 128

    def __init__(self, handler: Handler, path: str, seconds: float) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.path = path
        self._handler, self._seconds = handler, seconds

    def answer(self, body: bytes, content_type: str, accept: str) -> tuple[int, Response]:
        """Return the status and the response for one payload."""
        faulthandler.dump_traceback_later(self._seconds, exit=True)
        try:
            return 200, _sendable(self._handler(body, content_type, accept))
        except ImageError as error:
            print(error, flush=True)
            return error.status, _text(str(error))
        except Exception as error:
            traceback.print_exc()
            return 500, _text(f"{type(error).__name__}: {error}")
        finally:
            faulthandler.cancel_dump_traceback_later()


def main(plan: dict[str, Any]) -> int:
    """Load the model and answer requests until the process is ended; return the exit code."""
    try:
        server = _Server(load_handler(plan), plan["path"], plan["seconds"])
    except Exception as error:
        traceback.print_exc()
        Path(plan["error_file"]).write_text(f"{type(error).__name__}: {error}")
        return 1
    # Complete when it can be seen.
    unfinished = Path(f"{plan['port_file']}.unfinished")
    unfinished.write_text(str(server.server_port))
    os.replace(unfinished, plan["port_file"])  # noqa: PTH105 - its target is a string
    server.serve_forever()
    return 0


def _text(message: str) -> Response:
    return Response(message.encode("utf-8", "replace"), "text/plain")


def _sendable(response: Response) -> Response:
    """Return a response whose content type is one line.

    :raises UnicodeEncodeError: it has characters that HTTP cannot carry.
    """
    kind = " ".join(response.content_type.split()) or "application/octet-stream"
    kind.encode("latin-1")
    return Response(response.body, kind)


if __name__ == "__main__":
    sys.exit(main(json.loads(Path(sys.argv[1]).read_text())))
