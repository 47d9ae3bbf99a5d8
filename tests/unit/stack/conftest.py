from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from moto.server import ThreadedMotoServer  # noqa: TID253 - these tests are about AWS services

from sagemaker_local_runtime.images.ports import free_port
from stack.settings import StackSettings
from tests.waiting import GENEROUS_SECONDS


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[StackSettings]:
    """A stack whose endpoint is an empty AWS account."""
    port = free_port()
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    settings = StackSettings(state_dir=tmp_path, runtime_port=port)
    requests.post(f"{settings.runtime_url}/moto-api/reset", timeout=GENEROUS_SECONDS)
    yield settings
    server.stop()
