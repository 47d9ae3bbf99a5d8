"""The SageMaker actions, one module per resource."""

from __future__ import annotations

import importlib
import pkgutil


def load_actions() -> None:
    """Import every module that registers actions."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
