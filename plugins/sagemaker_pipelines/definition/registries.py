"""The registries of AWS's own images: one account in each region, by repository.

``aws_images.json`` is the table that the SDK bundles (sagemaker 3.27.0);
``python -m tests.unit.definition.test_registries`` writes it again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from sagemaker_pipelines.definition.resources import EcrImage

TABLE = Path(__file__).with_name("aws_images.json")


def regional_uris(image: EcrImage) -> dict[str, str]:
    """Return the URI of one of AWS's images in each region; empty if it is not AWS's.

    :param image: an image; it is AWS's if its account has this repository for AWS in its region.
    """
    accounts = _accounts().get(image.repository, {})
    if accounts.get(image.region) != image.account:
        return {}
    return {
        region: f"{account}.dkr.ecr.{region}.{_domain(region)}/{image.repository}{image.tag}"
        for region, account in accounts.items()
    }


def _domain(region: str) -> str:
    return "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"


@cache
def _accounts() -> Mapping[str, Mapping[str, str]]:
    """Return the account of each region by repository."""
    groups = json.loads(TABLE.read_text(encoding="utf-8"))
    return {name: group["accounts"] for group in groups for name in group["repositories"]}
