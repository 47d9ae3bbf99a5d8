"""The compiled definitions of this checkout."""

from __future__ import annotations

from pathlib import Path

from sagemaker_pipelines.definition import Envelope
from stack.settings import ROOT

DEFINITIONS = ROOT / "dags" / "definitions"


def allowed_arguments(definitions: Path) -> tuple[str, ...]:
    """Return the arguments that the compiled definitions may have although botocore refuses them.

    :param definitions: the folder of the envelopes.
    """
    envelopes = [Envelope.load(path) for path in sorted(definitions.glob("*.json"))]
    return tuple(sorted({name for envelope in envelopes for name in envelope.allowed_arguments}))
