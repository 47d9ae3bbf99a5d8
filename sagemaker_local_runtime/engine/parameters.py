"""The pipeline parameters of an execution, checked as StartPipelineExecution does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sagemaker_local_runtime.exceptions import ValidationError
from sagemaker_pipelines.definition.parameters import as_string, check_parameters, parameters_of
from sagemaker_pipelines.exceptions import ParameterError

Definition = Mapping[str, Any]


def parameter_values(definition: Definition, given: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return the value of every parameter of a definition, including defaults.

    :param definition: the definition that declares them.
    :param given: the ``PipelineParameters`` of the start.
    :raises ValidationError: a value is unknown, repeated, missing or of the wrong type.
    """
    repeated = [name for name, count in Counter(item["Name"] for item in given).items() if count > 1]
    if repeated:
        raise ValidationError(f"Duplicate pipeline parameters {', '.join(repeated)}: give each of them once.")
    declared = parameters_of(definition)
    try:
        values = check_parameters(declared, {item["Name"]: item["Value"] for item in given})
    except ParameterError as error:
        raise ValidationError(f"Invalid pipeline parameters. {error}") from error
    return {p.name: values[p.name] if p.name in values else as_string(p, p.default) for p in declared}


def typed_values(definition: Definition, values: Mapping[str, str]) -> dict[str, Any]:
    """Return the values as the types that the definition declares, for expressions to resolve to."""
    return {p.name: typed(p.type, values[p.name]) for p in parameters_of(definition) if p.name in values}


def typed(kind: str, text: str) -> str | int | float | bool:
    """Return the value of a string that was checked.

    :param kind: ``String``, ``Integer``, ``Float`` or ``Boolean``.
    """
    if kind == "Integer":
        return int(text)
    if kind == "Float":
        return float(text)
    if kind == "Boolean":
        return text.strip().lower() == "true"
    return text
