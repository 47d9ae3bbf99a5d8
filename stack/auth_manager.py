"""Airflow without a login, only for this machine.

Without a login, any web page that a developer visits could store connections and variables, and trigger DAGs:
its scripts can post to 127.0.0.1, and its own name can be pointed at 127.0.0.1 (DNS rebinding).
"""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from sagemaker_local_runtime.endpoint.browsers import foreign_page


class RefuseForeignPages:
    """Answer 403 to requests from foreign web pages, like the local runtime.

    :param app: the application that answers all other requests.
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
    """Airflow's simple auth manager, with all rights for this machine and none for foreign web pages."""

    def get_fastapi_middlewares(self) -> list[tuple[Any, dict[str, Any]]]:
        """Return Airflow's own middlewares, with the refusal before them."""
        return [*super().get_fastapi_middlewares(), (RefuseForeignPages, {})]
