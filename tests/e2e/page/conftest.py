"""One API server with seeded runs for all tests of the page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.page.server import PageServer


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageServer]:
    running = PageServer(tmp_path_factory.mktemp("page"))
    try:
        running.start()
        yield running
    finally:
        running.stop()
