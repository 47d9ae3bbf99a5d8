"""Build the environments that a pipeline needs before it runs, so that what is missing is said then."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from concurrent.futures import Future

from sagemaker_local_runtime.exceptions import EnvironmentBuildError, ValidationError
from sagemaker_local_runtime.images.catalog import Catalog, LocalImage
from sagemaker_local_runtime.images.environments import Environments

_log = logging.getLogger(__name__)
#: How long a start waits: a package index that cannot be reached, or has no such package, is found out in
#: seconds; a build that takes longer goes on while the execution runs, and its jobs wait for it.
_WAIT_SECONDS = 20.0


class Preparation:
    """Build environments in the background.

    :param images: what stands in for which image.
    :param environments: builds them.
    """

    def __init__(self, images: Catalog, environments: Environments) -> None:
        self._images, self._environments = images, environments
        self._closed = threading.Event()

    def prepare(self, uris: Iterable[str]) -> None:
        """Begin to build what is not there yet, and wait a while for it to fail.

        Images that nothing stands in for are left to the steps that use them, which may never run.

        :raises ValidationError: an environment cannot be built; the message says how to get it.
        """
        builds = [(image, self._begin(image)) for uri in sorted(set(uris)) if (image := self._missing(uri))]
        deadline = time.monotonic() + _WAIT_SECONDS
        for image, build in builds:
            try:
                build.result(max(0.0, deadline - time.monotonic()))
            except TimeoutError:
                _log.info("The execution begins while the environment of %s is being built.", image.uri)
            except EnvironmentBuildError as error:
                raise ValidationError(build_failure(image, error)) from error

    def close(self) -> None:
        """End the builds that are running."""
        self._closed.set()

    def _missing(self, uri: str) -> LocalImage | None:
        try:
            image = self._images.find(uri)
        except ValidationError:
            return None
        return None if self._environments.find(image.specification) else image

    def _begin(self, image: LocalImage) -> Future[None]:
        build: Future[None] = Future()

        def run() -> None:
            try:
                self._environments.get(image.specification, lambda line: _log.info("%s", line), self._check)
                build.set_result(None)
            except Exception as error:
                build.set_exception(error)

        threading.Thread(target=run, name=f"build-{image.name.repository}", daemon=True).start()
        return build

    def _check(self) -> None:
        if self._closed.is_set():
            raise EnvironmentBuildError("The local runtime ended while it was being built.")


def build_failure(image: LocalImage, error: EnvironmentBuildError) -> str:
    """Return what is missing for an image and how to get it."""
    specification = image.specification
    packages = ", ".join(specification.requirements) if specification else ""
    return (
        f"The environment of the image {image.uri} cannot be built. It needs {packages}. {error} "
        "Where the package index can be reached, fetch it with: "
        f"python -m sagemaker_local_runtime images build {image.uri}"
    )
