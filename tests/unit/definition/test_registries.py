"""The registries of AWS's images are those of the SDK."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from sagemaker_pipelines.definition.registries import TABLE, regional_uris
from sagemaker_pipelines.definition.resources import EcrImage

XGBOOST = "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-xgboost:1.7-1"


def entries(value: Any) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield each repository of the SDK's tables with its accounts, outside of AWS's isolated partitions."""
    if isinstance(value, list):
        for item in value:
            yield from entries(item)
    if not isinstance(value, dict):
        return
    names, accounts = value.get("repository", []), value.get("registries")
    if isinstance(accounts, dict):
        names = names if isinstance(names, list) else [names]
        for name in (
            item for entry in names for item in (entry.values() if isinstance(entry, dict) else [entry])
        ):
            yield name, {r: a for r, a in accounts.items() if "iso" not in r and not r.startswith("eusc")}
    for item in value.values():
        yield from entries(item)


def table() -> str:
    spec = find_spec("sagemaker.core")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    folder = Path(next(iter(spec.submodule_search_locations))) / "image_uri_config"
    accounts: dict[str, dict[str, str]] = {}
    for file in sorted(folder.glob("*.json")):
        for name, found in entries(json.loads(file.read_text())):
            known = accounts.setdefault(name, {})
            for region, account in found.items():
                assert known.setdefault(region, account) == account, (name, region)
    groups: dict[str, list[str]] = {}
    for name, found in sorted(accounts.items()):
        groups.setdefault(json.dumps(dict(sorted(found.items()))), []).append(name)
    lines = [
        f'{{"repositories": {json.dumps(names)},\n "accounts": {found}}}' for found, names in groups.items()
    ]
    return "[" + ",\n".join(lines) + "]\n"


@pytest.mark.thorough
def test_the_table_is_the_sdk_s() -> None:
    """If it is not: python -m tests.unit.definition.test_registries."""
    assert table() == TABLE.read_text()


def test_an_image_of_aws_has_a_uri_in_each_region() -> None:
    image = EcrImage.of(XGBOOST)
    assert image is not None
    uris = regional_uris(image)
    assert uris["eu-west-1"] == XGBOOST
    assert uris["us-east-1"] == "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
    assert ".amazonaws.com.cn/" in uris["cn-north-1"]


@pytest.mark.parametrize("change", [("141502667606", "111122223333"), ("eu-west-1", "eu-west-2")])
def test_an_image_of_the_same_name_in_another_account_is_not_aws_s(change: tuple[str, str]) -> None:
    image = EcrImage.of(XGBOOST.replace(*change))
    assert image is not None
    assert regional_uris(image) == {}


if __name__ == "__main__":
    TABLE.write_text(table())
