"""Inference scripts: ``model_fn``, ``input_fn``, ``predict_fn``, ``output_fn``, or ``transform_fn``.

https://github.com/aws/sagemaker-inference-toolkit
"""

from __future__ import annotations

import importlib.util
import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sagemaker_local_runtime.images import Image
from sagemaker_local_runtime.images.exceptions import ModelError, UnsupportedMediaTypeError
from sagemaker_local_runtime.images.handler import Handler, Response, media_type

_DEFAULT_SCRIPT = "inference.py"


def load(root: Path, image: Image) -> Handler:
    """Return the handler of a container whose image has no defaults of its own.

    :param root: ``/opt/ml`` as the job sees it.
    :param image: the container's image.
    :raises ModelError: there is no script.
    """
    return load_script(root, require_script(root))


def require_script(root: Path) -> Path:
    """Return the inference script of a container.

    :raises ModelError: there is none.
    """
    script = find_script(root)
    if script is None:
        raise ModelError(
            "The model has no inference script. Set SAGEMAKER_PROGRAM in the container's Environment, "
            "and put the script into code/ of the model archive."
        )
    return script


def find_script(root: Path) -> Path | None:
    """Return the inference script of a container, or None.

    ``SAGEMAKER_PROGRAM`` names it. It is in the model's ``code`` folder or with the submitted source.
    """
    program = os.environ.get("SAGEMAKER_PROGRAM") or _DEFAULT_SCRIPT
    folders = [root / "code", root / "model" / "code"]
    return next((folder / program for folder in folders if (folder / program).is_file()), None)


def load_script(
    root: Path,
    path: Path,
    *,
    load_model: Callable[[Path], Any] | None = None,
    decode: Callable[[bytes, str], Any] | None = None,
    predict: Callable[[Any, Any], Any] | None = None,
) -> Handler:
    """Return the handler made of a script's functions, with the toolkit's defaults for missing ones.

    :param root: ``/opt/ml`` as the job sees it.
    :param path: the script.
    :param load_model: the default ``model_fn`` of the image.
    :param decode: the default ``input_fn`` of the image.
    :param predict: the default ``predict_fn`` of the image.
    """
    functions = vars(_import(path))
    model_fn = functions.get("model_fn") or (lambda folder: _default_model(Path(folder), load_model))
    model = model_fn(str(root / "model"))
    transform_fn = functions.get("transform_fn")
    if transform_fn is not None:
        return lambda payload, kind, accept: _response(
            transform_fn(model, _text(payload, kind), kind, accept), accept
        )
    input_fn = functions.get("input_fn")
    predict_fn = functions.get("predict_fn") or predict or (lambda data, model: model.predict(data))
    output_fn = functions.get("output_fn") or _encode

    def answer(payload: bytes, content_type: str, accept: str) -> Response:
        if input_fn is not None:
            data = input_fn(_text(payload, content_type), content_type)
        else:
            data = (decode or decode_array)(payload, content_type)
        return _response(output_fn(predict_fn(data, model), accept), accept)

    return answer


def _import(path: Path) -> Any:
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def _default_model(folder: Path, load_model: Callable[[Path], Any] | None) -> Any:
    if load_model is None:
        raise ModelError(
            "The inference script has no model_fn, and this image has no default. Add a model_fn."
        )
    return load_model(folder)


def _text(payload: bytes, content_type: str) -> Any:
    """Return the payload as scripts expect it: text as ``str``, everything else as bytes."""
    textual = content_type.startswith("text/") or "json" in content_type
    return payload.decode("utf-8") if textual else payload


def _response(result: Any, accept: str) -> Response:
    """Return the response for a script's result: a body, or a body and its content type."""
    if isinstance(result, tuple):
        result, accept = result[0], result[1]
    elif hasattr(result, "response"):
        result, accept = result.response, getattr(result, "mimetype", accept)
    if not isinstance(accept, str):
        raise TypeError(f"the script returned the content type {accept!r}; expected a text such as text/csv")
    if not isinstance(result, (bytes, str)):
        return Response(_encode(result, accept)[0], accept)
    return Response(result.encode() if isinstance(result, str) else result, accept)


def decode_array(payload: bytes, content_type: str) -> Any:
    """Return a payload as an array: the default ``input_fn`` of the toolkit."""
    import numpy as np

    kind = media_type(content_type)
    if kind == "text/csv":
        return np.genfromtxt(io.BytesIO(payload), delimiter=",", ndmin=2)
    if kind == "application/json":
        return np.array(json.loads(payload))
    if kind == "application/x-npy":
        return np.load(io.BytesIO(payload), allow_pickle=False)
    raise UnsupportedMediaTypeError(f"Content type {content_type!r} is not supported by this image.")


def _encode(prediction: Any, accept: str) -> tuple[bytes, str]:
    import numpy as np

    array = np.asarray(prediction)
    kind = media_type(accept)
    if kind == "text/csv":
        text = io.StringIO()
        np.savetxt(text, array, delimiter=",", fmt="%s")
        return text.getvalue().encode(), kind
    if kind == "application/json":
        return json.dumps(array.tolist()).encode(), kind
    if kind == "application/x-npy":
        buffer = io.BytesIO()
        np.save(buffer, array)
        return buffer.getvalue(), kind
    raise UnsupportedMediaTypeError(f"Accept {accept!r} is not supported by this image.")
