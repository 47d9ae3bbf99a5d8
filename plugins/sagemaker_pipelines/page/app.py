"""The application that Airflow's API server mounts, loaded at its first request."""

from __future__ import annotations

from functools import cached_property
from typing import Any

#: Where the page is, below Airflow's base URL.
PREFIX = "sagemaker-pipelines"


class PageApp:
    """The ASGI application of the page.

    Airflow loads plugins in each of its processes, but only the API server gets requests: the others import
    neither FastAPI nor the routes.
    """

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request."""
        await self._app(scope, receive, send)

    @cached_property
    def _app(self) -> Any:
        from sagemaker_pipelines.page.routes import app

        return app
