"""The target of ``show`` and ``start``: a compiled definition, or a deployed pipeline."""

from __future__ import annotations

from sagemaker_pipelines.definition import Envelope
from sagemaker_pipelines.definition.envelope import NAME_PATTERN
from sagemaker_pipelines.exceptions import ParameterError


def envelope_of(target: str) -> Envelope | None:
    """Return the compiled definition at the path of a target; None for the name or ARN of a pipeline.

    :raises ParameterError: it is none of these.
    :raises DefinitionError: the file is not a compiled definition.
    """
    if target.endswith(".json"):
        return Envelope.load(target)
    if not target.startswith("arn:") and NAME_PATTERN.fullmatch(target) is None:
        raise ParameterError(
            f"The target is {target!r}; expected the path of a compiled definition "
            "(dags/definitions/<name>.json), or a deployed pipeline's name (letters, digits and hyphens). "
            "Correct it."
        )
    return None
