"""Answer requests as the scikit-learn container does, with the script in the model archive."""

from __future__ import annotations

from pathlib import Path

from sagemaker_local_runtime.images import Image
from sagemaker_local_runtime.images.exceptions import ModelError
from sagemaker_local_runtime.images.handler import Handler
from sagemaker_local_runtime.images.script import find_script, load_script


def load(root: Path, image: Image) -> Handler:
    """Return the handler of a container.

    :param root: ``/opt/ml`` as the job sees it.
    :param image: the container's image.
    :raises ModelError: there is no script.
    """
    script = find_script(root)
    if script is None:
        raise ModelError(
            "The model has no inference script. Set SAGEMAKER_PROGRAM in the container's Environment, "
            "and put the script into code/ of the model archive."
        )
    return load_script(root, script)
