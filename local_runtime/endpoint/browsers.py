"""Refuse what web pages send: any site that a developer visits could otherwise run programs here.

A page can reach loopback in two ways. Its scripts send an ``Origin``, which AWS's clients never do; and its
own name can be pointed at 127.0.0.1 (DNS rebinding), which the ``Host`` gives away.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from local_runtime.endpoint.wire import Answer, Environ, error_answer


def is_loopback(host: str) -> bool:
    """Return whether a host name or address is this machine's own."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def refuse_page(environ: Environ, *, listens_on_loopback: bool, protocol: str) -> Answer | None:
    """Return the refusal of a request that came from a foreign web page; None for all others.

    :param listens_on_loopback: beyond loopback any name may be the server's, such as a container's.
    :param protocol: how the error is spelled.
    """
    host = _hostname(f"//{environ.get('HTTP_HOST') or 'localhost'}")
    if listens_on_loopback and not is_loopback(host):
        return _refusal(f"The Host {host!r} is not this machine; use 127.0.0.1 or localhost.", protocol)
    origin = environ.get("HTTP_ORIGIN")
    if origin is not None and _hostname(origin) not in {host, "localhost", "127.0.0.1", "::1"}:
        return _refusal(f"Requests of web pages are refused, and this has the Origin {origin!r}.", protocol)
    return None


def _hostname(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _refusal(message: str, protocol: str) -> Answer:
    return error_answer(protocol, "AccessDenied", message[:512], status=403, close=True)
