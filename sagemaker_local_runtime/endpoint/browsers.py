"""Refuse requests from web pages: otherwise any site that a developer visits could run programs here.

A page can reach loopback in two ways. Its scripts can send requests, which have an ``Origin``; AWS's clients
never send one. And its own name can resolve to 127.0.0.1 (DNS rebinding), which the ``Host`` reveals.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from sagemaker_local_runtime.endpoint.wire import Answer, Environ, error_answer


def is_loopback(host: str) -> bool:
    """Return whether a host name or address is a loopback one."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def refuse_page(environ: Environ, *, listens_on_loopback: bool, protocol: str) -> Answer | None:
    """Return the refusal of a request from a foreign web page, or None for any other request.

    :param listens_on_loopback: whether the server listens on loopback only; otherwise it may have any name,
        such as a container's.
    :param protocol: the protocol of the error.
    """
    reason = foreign_page(
        environ.get("HTTP_HOST"), environ.get("HTTP_ORIGIN"), listens_on_loopback=listens_on_loopback
    )
    if reason is None:
        return None
    return error_answer(protocol, "AccessDenied", reason, status=403, close=True)


def foreign_page(host: str | None, origin: str | None, *, listens_on_loopback: bool) -> str | None:
    """Return why a request is taken for one from a foreign web page, or None.

    :param host: the header ``Host``, or None.
    :param origin: the header ``Origin``, or None.
    :param listens_on_loopback: see :func:`refuse_page`.
    """
    name = _hostname(f"//{host or 'localhost'}")
    if listens_on_loopback and not is_loopback(name):
        return f"The Host {name[:256]!r} is not this machine. Use 127.0.0.1 or localhost."
    if origin is not None and _hostname(origin) not in {name, "localhost", "127.0.0.1", "::1"}:
        return f"The request has the Origin {origin[:256]!r}; requests from web pages are refused."
    return None


def _hostname(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
