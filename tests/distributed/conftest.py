"""The distributed tests run only when they are asked for: ``pytest -m distributed``."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "distributed" in config.getoption("-m"):
        return
    for item in items:
        if item.get_closest_marker("distributed"):
            item.add_marker(pytest.mark.skip(reason="takes minutes and PostgreSQL and Redis: -m distributed"))
