"""One cluster for all distributed tests, and what they print while they run."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.distributed.cluster import Cluster

# `make cluster-test`: more is killed, in more time than a test of `make test` may take.
FULL = os.environ.get("CLUSTER_TEST") == "full"
OTHERS = ["scheduler-1", "dag-processor", "triggerer-1", "triggerer-2", "worker-1", "worker-2"]

Say = Callable[[str], None]


@pytest.fixture(scope="session")
def say(request: pytest.FixtureRequest) -> Say:
    """Print at once, with the time, whatever pytest captures."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    began = time.monotonic()

    def say(text: str) -> None:
        with capture.global_and_fixture_disabled():
            print(f"{time.monotonic() - began:6.1f} s  {text}", flush=True)

    return say


@pytest.fixture(scope="package")
def cluster(request: pytest.FixtureRequest, say: Say) -> Iterator[Cluster]:
    # Not pytest's folder: PostgreSQL's user must be able to enter it.
    folder = Path(tempfile.mkdtemp(prefix="cluster-"))
    folder.chmod(0o755)
    cluster = Cluster(folder, say)
    failed_before = request.session.testsfailed
    try:
        cluster.up([*OTHERS, "scheduler-2"] if FULL else OTHERS)
        say(f"healthy: {', '.join(cluster.hosts)}")
        yield cluster
    finally:
        cluster.down()
        if request.session.testsfailed > failed_before:
            say(f"the cluster's logs are kept in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
