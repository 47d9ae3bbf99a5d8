"""The registry of the SageMaker actions that the local runtime answers itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sagemaker_local_runtime.runtime import Runtime

Request = dict[str, Any]
Response = dict[str, Any]
Handler = Callable[[Runtime, Request], Response]

ACTIONS: dict[str, Handler] = {}


def action(name: str) -> Callable[[Handler], Handler]:
    """Register the function as the handler of one SageMaker action."""

    def register(handler: Handler) -> Handler:
        ACTIONS[name] = handler
        return handler

    return register
