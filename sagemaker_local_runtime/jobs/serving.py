"""Put the model of a container where its program expects it, and say how the program is started.

Batch transform jobs and endpoints do the same here.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sagemaker_local_runtime.images import built_in
from sagemaker_local_runtime.images.catalog import LocalImage
from sagemaker_local_runtime.jobs.archives import unpack
from sagemaker_local_runtime.jobs.container import Container
from sagemaker_local_runtime.jobs.sandbox import CONTAINER_ROOT
from sagemaker_local_runtime.services.storage import split_uri

MODEL_FOLDER, _CODE_FOLDER = f"{CONTAINER_ROOT}/model", f"{CONTAINER_ROOT}/code"


def served_image(image: LocalImage) -> dict[str, Any]:
    """Return what ``load_handler`` of ``images/batch/worker.py`` needs to know about an image."""
    return {
        "root": CONTAINER_ROOT,
        "module": image.serve_module,
        "repository": image.name.repository,
        "tag": image.name.tag,
        "serve": image.entry.serve,
    }


def stage_model(container: Container, definition: Mapping[str, Any]) -> None:
    """Put the model of a container, and no other, where its program expects it.

    :param container: where the program will run; it has the packages of its image.
    :param definition: the container definition of the model.
    :raises AwsError: the model data do not exist.
    :raises JobFailedError: an archive or a requirements file cannot be used.
    """
    for path in (MODEL_FOLDER, _CODE_FOLDER):
        shutil.rmtree(container.produced(path), ignore_errors=True)
    model = container.folder.host_path(MODEL_FOLDER)
    model.mkdir(parents=True)
    source = (definition.get("ModelDataSource") or {}).get("S3DataSource") or {}
    if source.get("CompressionType") == "None":
        container.download(source["S3Uri"], MODEL_FOLDER)
    elif uri := source.get("S3Uri") or definition.get("ModelDataUrl"):
        unpack(_fetch(container, uri), model)
    container.packages.require(model / "code")
    submitted = definition.get("Environment", {}).get("SAGEMAKER_SUBMIT_DIRECTORY", "")
    if submitted.startswith("s3://"):
        code = container.folder.host_path(_CODE_FOLDER)
        unpack(_fetch(container, submitted), code)
        container.packages.require(code)


def serve_command(container: Container, image: LocalImage, module: str, plan: str) -> list[str]:
    """Return the command that runs a module with the program of an image.

    :param container: where it will run; its model is staged.
    :param image: the image.
    :param module: the module's name.
    :param plan: the container path of its plan, which has the members of :func:`served_image`.
    """
    folders = (f"{MODEL_FOLDER}/code", _CODE_FOLDER)
    has_script = any(container.folder.host_path(folder).is_dir() for folder in folders)
    name = image.name
    quick = image.train_module and not has_script and name.version and not name.pickles
    return built_in(module, plan, quick_xgboost=bool(quick))


def _fetch(container: Container, uri: str) -> Path:
    container.check_not_stopped()
    return container.storage.fetch(*split_uri(uri), container.folder.path / "archive.tar.gz")
