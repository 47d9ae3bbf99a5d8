from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from moto.server import ThreadedMotoServer  # noqa: TID253 - these tests are about AWS services

from stack.settings import StackSettings
from tests.waiting import GENEROUS_SECONDS


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[StackSettings]:
    """A stack whose endpoint is an empty AWS account."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    settings = StackSettings(state_dir=tmp_path, runtime_port=port)
    requests.post(f"{settings.runtime_url}/moto-api/reset", timeout=GENEROUS_SECONDS)
    yield settings
    server.stop()
