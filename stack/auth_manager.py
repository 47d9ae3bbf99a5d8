"""Airflow without a login, for this machine alone.

Without a login, any web page that a developer visits could store connections and variables and trigger DAGs:
its scripts may post to 127.0.0.1, and its own name may be pointed at 127.0.0.1 (DNS rebinding).
"""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from local_runtime.endpoint.browsers import foreign_page


class RefuseForeignPages:
    """Answer 403 to requests that came from a foreign web page, as the local runtime does.

    :param app: the application behind it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        app = self._app
        if scope["type"] != "lifespan":
            headers = Headers(scope=scope)
            reason = foreign_page(headers.get("host"), headers.get("origin"), listens_on_loopback=True)
            if reason is not None:
                app = JSONResponse({"detail": reason}, status_code=403)
        await app(scope, receive, send)


class LoopbackAuthManager(SimpleAuthManager):
    """Airflow's simple auth manager, which gives every caller from this machine all rights and pages none."""

    def get_fastapi_middlewares(self) -> list[tuple[Any, dict[str, Any]]]:
        """Return Airflow's own middlewares, and the refusal before them."""
        return [*super().get_fastapi_middlewares(), (RefuseForeignPages, {})]
