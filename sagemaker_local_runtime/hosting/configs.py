"""Endpoint configurations.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateEndpointConfig.html
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from sagemaker_local_runtime.account import Account
from sagemaker_local_runtime.exceptions import ValidationError
from sagemaker_local_runtime.images.catalog import Catalog
from sagemaker_local_runtime.services.models import ModelRegistry
from sagemaker_local_runtime.services.tags import delete_tags, put_tags
from sagemaker_local_runtime.store import Document, public
from sagemaker_local_runtime.validation import Check

# Inside the class, "list" is the method.
Documents = list[Document]
_KIND = "endpoint-config"
_UNSUPPORTED = ("AsyncInferenceConfig", "ExplainerConfig", "ShadowProductionVariants")


class EndpointConfigs:
    """Create, find and delete endpoint configurations.

    :param account: its store keeps them.
    :param models: the models that they name.
    :param images: what stands in for the images of the models.
    """

    def __init__(self, account: Account, models: ModelRegistry, images: Catalog) -> None:
        self._account, self._store, self._models, self._images = account, account.store, models, images

    def create(self, request: Mapping[str, Any]) -> str:
        """Create an endpoint configuration and return its ARN.

        :raises ValidationError: the name is taken, or the configuration cannot be served here.
        """
        self.containers(request)
        name = str(request["EndpointConfigName"])
        arn = self._account.arn(f"{_KIND}/{name}")
        config = {
            **{key: value for key, value in request.items() if key != "Tags"},
            "EndpointConfigArn": arn,
            "CreationTime": time.time(),
        }
        with self._store.transaction():
            if not self._store.insert(_KIND, name, config):
                raise ValidationError(f'Cannot create already existing endpoint configuration "{arn}".')
            put_tags(self._store, arn, request.get("Tags") or [])
        return arn

    def describe(self, name: str) -> Document:
        """Return an endpoint configuration.

        :raises ValidationError: it does not exist.
        """
        config = self._store.get(_KIND, name)
        if config is None:
            arn = self._account.arn(f"{_KIND}/{name}")
            raise ValidationError(f'Could not find endpoint configuration "{arn}".')
        return public(config)

    def list(self) -> Documents:
        """Return every endpoint configuration, oldest first."""
        return self._store.list(_KIND)

    def delete(self, name: str) -> None:
        """Delete an endpoint configuration; endpoints that serve it go on.

        :raises ValidationError: it does not exist.
        """
        with self._store.transaction():
            arn = self.describe(name)["EndpointConfigArn"]
            self._store.delete(_KIND, name)
            delete_tags(self._store, arn)

    def containers(self, config: Mapping[str, Any]) -> dict[str, Documents]:
        """Return the containers of each production variant, by the variant's name.

        :param config: a configuration, or the request that creates one.
        :raises ValidationError: a model or its image does not exist, or something is not supported.
        """
        for check in checks(config):
            check()
        found = {}
        for variant in config["ProductionVariants"]:
            containers = self._models.containers(variant["ModelName"])
            _refuse([name for container in containers for name in _refused_of_container(container)])
            for container in containers:
                self._images.find(container["Image"])
            found[str(variant["VariantName"])] = containers
        return found


def checks(config: Mapping[str, Any]) -> Iterator[Check]:
    """Yield the checks that need nothing but a configuration; a pipeline is checked with them, too."""
    yield lambda: _refuse([*_refused(config)])
    yield partial(_check_names, config["ProductionVariants"])


def _refuse(found: list[str]) -> None:
    if found:
        raise ValidationError(
            f"The local runtime does not serve {', '.join(found)}. Remove it from the endpoint "
            "configuration or the model; docs/local_runtime.md lists what is supported."
        )


def _check_names(variants: list[Mapping[str, Any]]) -> None:
    if len({variant["VariantName"] for variant in variants}) < len(variants):
        raise ValidationError("The names of production variants must be unique.")


def _refused(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield what would be ignored, although it changes what an endpoint answers or records."""
    yield from (name for name in _UNSUPPORTED if config.get(name))
    if (config.get("DataCaptureConfig") or {}).get("EnableCapture"):
        yield "DataCaptureConfig with EnableCapture"
    for variant in config["ProductionVariants"]:
        if "ModelName" not in variant:
            yield f"the variant {variant['VariantName']!r} without a ModelName"


def _refused_of_container(container: Mapping[str, Any]) -> Iterator[str]:
    if container.get("Mode", "SingleModel") != "SingleModel":
        yield f"containers with the Mode {container['Mode']}"
