"""The container images that the pipelines of this project use, with their pinned tags.

The tags match the libraries that the local runtime installs. xgboost 3.1 removed the old binary model format,
so an older image could not read the models of a newer one.
"""

from __future__ import annotations

from functools import cache

from sagemaker.core import image_uris  # noqa: TID253 - looks the image up in the SDK's tables

from sagemaker_compile.stand_ins import REGION

#: The tag of each framework, as in the tables of the SDK (sagemaker 3.27.0).
TAGS = {"sklearn": "1.9-0", "xgboost": "3.2-0"}

#: By it the SDK chooses between CPU and GPU images.
_INSTANCE_TYPE = "ml.m5.xlarge"


@cache
def image_uri(name: str) -> str:
    """Return the URI of a pinned image.

    :param name: ``sklearn`` or ``xgboost``.
    :return: its URI in one region; compiling replaces it with a placeholder.
    """
    uri: str = image_uris.retrieve(name, REGION, version=TAGS[name], instance_type=_INSTANCE_TYPE)
    return uri
