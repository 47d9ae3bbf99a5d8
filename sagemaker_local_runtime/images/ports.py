"""Choose a port for a program that will listen on it."""

from __future__ import annotations

import contextlib
import secrets
import socket


def free_port() -> int:
    """Return a loopback port that nothing listens on.

    It may be bound much later, so it is none of those that Linux gives to connections (32768 and above).
    """
    while True:
        port = 10_000 + secrets.randbelow(22_768)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
