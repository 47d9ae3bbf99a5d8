"""The container images that pipelines use, with their pinned tags.

The tags match the libraries that the local runtime installs. xgboost 3.1 removed the old binary model format,
so an older image could not read the models of a newer one.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import sagemaker.core.image_uri_config  # noqa: TID253 - reads the SDK's bundled table of registries
from sagemaker.core import image_uris  # noqa: TID253

from sagemaker_compile.stand_ins import REGION

#: The tag of each framework, as in the tables of the SDK (sagemaker 3.27.0).
TAGS = {"sklearn": "1.9-0", "xgboost": "3.2-0"}

#: By it the SDK chooses between CPU and GPU images.
_INSTANCE_TYPE = "ml.m5.xlarge"


@cache
def image_uri(name: str, region: str = REGION) -> str:
    """Return the URI of a pinned image.

    :param name: ``sklearn`` or ``xgboost``.
    :param region: the region to pull from; compiling replaces the URI of the default one with a placeholder.
    """
    uri: str = image_uris.retrieve(name, region, version=TAGS[name], instance_type=_INSTANCE_TYPE)
    return uri


def image_uris_by_region(name: str) -> dict[str, str]:
    """Return the URI of a pinned image in every region that the SDK knows."""
    folder = Path(next(iter(sagemaker.core.image_uri_config.__path__)))
    table = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    # The scopes (training, processing, inference) of a framework share one version entry's shape.
    regions: set[str] = set()
    for scope in [table, *table.values()]:
        if isinstance(scope, dict) and TAGS[name] in scope.get("versions", {}):
            regions.update(scope["versions"][TAGS[name]]["registries"])
    return {region: image_uri(name, region) for region in sorted(regions)}
