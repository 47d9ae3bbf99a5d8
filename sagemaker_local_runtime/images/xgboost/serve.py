"""Answer requests as the XGBoost container does, with its algorithm's model or with a script."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sagemaker_local_runtime.images import Image
from sagemaker_local_runtime.images.exceptions import ModelError
from sagemaker_local_runtime.images.handler import Handler, Response, media_type
from sagemaker_local_runtime.images.script import find_script, load_script
from sagemaker_local_runtime.images.xgboost.data import read_payload
from sagemaker_local_runtime.images.xgboost.model import feature_count, load_model, predict


def load(root: Path, image: Image) -> Handler:
    """Return the handler of a container.

    :param root: ``/opt/ml`` as the job sees it.
    :param image: the container's image.
    """
    script = find_script(root)
    if script is not None:
        return load_script(root, script, load_model=load_model, decode=_decode_for_script)
    booster = load_model(root / "model")

    def answer(payload: bytes, content_type: str, accept: str) -> Response:
        matrix = read_payload(payload, content_type)
        return _encode(_predict(booster, matrix), accept)

    return answer


def _decode_for_script(payload: bytes, content_type: str) -> Any:
    return read_payload(payload, content_type)


def _predict(booster: Any, matrix: Any) -> list[Any]:
    expected, seen = feature_count(booster), matrix.num_col()
    if seen > expected:
        raise ModelError(
            f"Unable to evaluate payload provided: Feature size of inference data {seen} is not consistent "
            f"with feature size of trained model {expected}."
        )
    best = booster.attr("best_iteration")
    return predict(booster, matrix, int(best) + 1 if best is not None else 0)


def _encode(predictions: list[Any], accept: str) -> Response:
    kind = media_type(accept)
    if kind == "application/json":
        body = json.dumps({"predictions": [{"score": value} for value in predictions]})
    elif kind == "application/jsonlines":
        body = "\n".join(json.dumps({"score": value}) for value in predictions) + "\n"
    else:
        kind, body = "text/csv", "\n".join(map(str, predictions)) + "\n"
    return Response(body.encode(), kind)
