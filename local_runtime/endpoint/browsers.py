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
    reason = foreign_page(
        environ.get("HTTP_HOST"), environ.get("HTTP_ORIGIN"), listens_on_loopback=listens_on_loopback
    )
    if reason is None:
        return None
    return error_answer(protocol, "AccessDenied", reason, status=403, close=True)


def foreign_page(host: str | None, origin: str | None, *, listens_on_loopback: bool) -> str | None:
    """Return why a request came from a foreign web page; None where it did not.

    :param host: the header ``Host``; None where there is none.
    :param origin: the header ``Origin``; None where there is none.
    :param listens_on_loopback: see :func:`refuse_page`.
    """
    name = _hostname(f"//{host or 'localhost'}")
    if listens_on_loopback and not is_loopback(name):
        return f"The Host {name[:256]!r} is not this machine; use 127.0.0.1 or localhost."
    if origin is not None and _hostname(origin) not in {name, "localhost", "127.0.0.1", "::1"}:
        return f"Requests of web pages are refused, and this has the Origin {origin[:256]!r}."
    return None


def _hostname(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
