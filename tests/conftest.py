"""The tests' environment, set before Airflow is imported (an empty home, no real AWS), and their order."""

from __future__ import annotations

import os
import tempfile
from functools import cache
from pathlib import Path

import pytest
from botocore.loaders import JSONFileLoader
from hypothesis import settings

# Airflow reads its configuration when it is imported, so a fixture would come too late.
_home = tempfile.TemporaryDirectory(prefix="airflow-home-", ignore_cleanup_errors=True)
os.environ["AIRFLOW_HOME"] = _home.name
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__CORE__UNIT_TEST_MODE"] = "False"
for name in [name for name in os.environ if name.startswith("AWS_")]:
    if name != "AWS_CA_BUNDLE":
        del os.environ[name]
os.environ["AWS_ACCESS_KEY_ID"] = os.environ["AWS_SECRET_ACCESS_KEY"] = "test"
os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull

# A deadline for each example would fail where the machine is slow.
settings.register_profile("any-machine", deadline=None)
settings.load_profile("any-machine")
# The tests make hundreds of clients, and each would parse its service's model anew.
_load_file = cache(JSONFileLoader().load_file)
JSONFileLoader.load_file = lambda self, file_path: _load_file(file_path)


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """Keep ids short: pytest puts them into the environment, where Linux allows no value above 128 KiB."""
    return f"{argname}-of-{len(val)}" if isinstance(val, str | bytes) and len(val) > 200 else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each package of tests, and each module outside of one, to one worker.

    A package here has one Airflow or one cluster. These take longest, so they come first; within a package
    and among the modules the order stays random (pytest-randomly has shuffled them before).
    """
    groups = {item: _group(item) for item in items}
    first: dict[pytest.Collector, int] = {}
    for item, group in groups.items():
        item.add_marker(pytest.mark.xdist_group(group.nodeid))
        first.setdefault(group, len(first) if isinstance(group, pytest.Package) else len(groups))
    items.sort(key=lambda item: first[groups[item]])


def _group(item: pytest.Item) -> pytest.Collector:
    packages = [parent for parent in item.iter_parents() if isinstance(parent, pytest.Package)]
    if packages and packages[0].path != Path(__file__).parent:
        return packages[0]
    module = item.getparent(pytest.Module)
    assert module is not None
    return module
