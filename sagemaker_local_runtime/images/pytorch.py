"""Answer requests as the PyTorch and HuggingFace containers do, with the script in the model archive.

https://github.com/aws/sagemaker-pytorch-inference-toolkit
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sagemaker_local_runtime.images import Image
from sagemaker_local_runtime.images.handler import Handler
from sagemaker_local_runtime.images.script import decode_array, load_script, require_script


def load(root: Path, image: Image) -> Handler:
    """Return the handler of a container.

    :param root: ``/opt/ml`` as the job sees it.
    :param image: the container's image.
    :raises ModelError: there is no script.
    """
    return load_script(root, require_script(root), decode=_decode, predict=_predict)


def _decode(payload: bytes, content_type: str) -> Any:
    import torch

    return torch.tensor(decode_array(payload, content_type), dtype=torch.float32)


def _predict(data: Any, model: Any) -> Any:
    import torch

    with torch.no_grad():
        model.eval()
        return model(data)
