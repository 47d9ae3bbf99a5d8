"""One stack for the crash and kill matrices: both kill parts of it, so the other tests have theirs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.crash.harness import Harness


@pytest.fixture(scope="package")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    harness = Harness(tmp_path_factory.mktemp("crash")).up()
    yield harness
    harness.close()


@pytest.fixture(autouse=True)
def _whole(harness: Harness) -> None:
    harness.repair()
