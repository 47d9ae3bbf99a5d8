"""The engine with fake jobs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sagemaker_local_runtime.engine.steps import EXECUTORS
from tests.runtime.engine.doubles import Engine, FakeJobs


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> FakeJobs:
    fake = FakeJobs()
    monkeypatch.setitem(EXECUTORS, "Processing", fake)
    return fake


@pytest.fixture
def engine(tmp_path: Path, jobs: FakeJobs) -> Iterator[Engine]:
    engine = Engine(tmp_path)
    yield engine
    engine.runtime.executions.shutdown()
    engine.runtime.account.store.close()
