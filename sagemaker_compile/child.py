"""The side of interpreter.py that runs in the other Python environment."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path

from sagemaker_compile.exceptions import PipelineSourceError
from sagemaker_compile.sources import Source


def main(question: str, answer: str) -> None:
    """Build pipelines.

    :param question: a JSON file with the fields of each :class:`Source`.
    :param answer: the JSON file to write, with ``captures`` or with ``error``.
    """
    sources = json.loads(Path(question).read_text(encoding="utf-8"))
    Path(answer).write_text(json.dumps(_answer(sources)), encoding="utf-8")


def _answer(sources: list[dict[str, str]]) -> dict[str, object]:
    missing = [name for name in ("sagemaker", "moto") if find_spec(name) is None]
    if missing:
        return {
            "error": f"{sys.executable} has no package {' and no package '.join(missing)}, which building "
            f"a pipeline needs. Install it: {sys.executable} -m pip install 'sagemaker<3' 'moto>=5'"
        }
    from sagemaker_compile.capture import capture

    try:
        captures = [
            capture(Source(item["name"], item["description"], Path(item["folder"]))) for item in sources
        ]
    except PipelineSourceError as error:
        return {"error": str(error)}
    return {"captures": [item.to_json() for item in captures]}
