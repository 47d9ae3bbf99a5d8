"""The model file of the XGBoost container."""

from __future__ import annotations

import inspect
import json
import pickle
import warnings
from pathlib import Path
from typing import Any

import xgboost  # noqa: TID253 - this module saves and loads its models

from sagemaker_local_runtime.images.exceptions import ModelError

MODEL_NAME = "xgboost-model"


def save_model(booster: Any, folder: Path, *, pickled: bool) -> Path:
    """Save the model as the container does: as a pickle up to version 1.2, then in XGBoost's format."""
    path = folder / MODEL_NAME
    if pickled:
        with path.open("wb") as file:
            pickle.dump(booster, file)
        return path
    with warnings.catch_warnings():
        # The container's file name has no suffix, which XGBoost warns about.
        warnings.simplefilter("ignore")
        booster.save_model(path)
    return path


def load_model(folder: Path) -> Any:
    """Return the booster in a model folder, in either format.

    Unpickling runs code by the model's author: call this only inside a job's sandbox.

    :raises ModelError: the file does not exist, or is not a model.
    """
    named = folder / MODEL_NAME
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    path = named if named.is_file() else next(iter(files), None)
    if path is None:
        raise ModelError(f"Unable to load model: {folder} holds no model file; expected {MODEL_NAME!r}.")
    content = path.read_bytes()
    if content[:1] == b"\x80":
        return _unpickle(content, path)
    booster = xgboost.Booster()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            booster.load_model(bytearray(content))
    except xgboost.core.XGBoostError as error:
        raise ModelError(f"Unable to load model {path.name}: {str(error).splitlines()[0]}") from error
    return booster


def feature_count(booster: Any) -> int:
    """Return how many features a model was trained with."""
    if hasattr(booster, "num_features"):  # since XGBoost 1.5
        return int(booster.num_features())
    return int(json.loads(booster.save_config())["learner"]["learner_model_param"]["num_feature"])


def predict(booster: Any, matrix: Any, rounds: int) -> list[Any]:
    """Return the predictions of the first rounds of a model; 0 is all of them."""
    options: dict[str, Any] = {"iteration_range": (0, rounds)}
    if "iteration_range" not in inspect.signature(booster.predict).parameters:  # since XGBoost 1.4
        options = {"ntree_limit": rounds}
    predictions: list[Any] = booster.predict(matrix, validate_features=False, **options).tolist()
    return predictions


def _unpickle(content: bytes, path: Path) -> Any:
    try:
        model = pickle.loads(content)  # noqa: S301 - acceptable only inside the sandbox
    except Exception as error:
        raise ModelError(f"Unable to load model {path.name}: {type(error).__name__}: {error}") from error
    return model.get_booster() if hasattr(model, "get_booster") else model
