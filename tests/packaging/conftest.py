"""What the tests of the built distribution share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sagemaker_local_runtime.server import LocalServer
from sagemaker_local_runtime.settings import Settings
from stack.bootstrap import bootstrap
from stack.settings import StackSettings
from tests.packaging.installation import DRIVE, Installation


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """A local runtime with the abalone data."""
    with LocalServer(Settings(data_dir=tmp_path_factory.mktemp("runtime"), port=0)) as running:
        bootstrap(StackSettings(runtime_port=int(running.endpoint_url.rpartition(":")[2])))
        yield running


@pytest.fixture(scope="module")
def seen(installation: Installation) -> dict[str, Any]:
    """What an interpreter sees of the installation, see drive.py."""
    return installation.drive(DRIVE, "modules")
