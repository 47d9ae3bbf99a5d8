"""The trigger form of a DAG, made from a compiled definition's parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from airflow.sdk import Param

from sagemaker_pipelines.definition import Parameter

_JSON_TYPES: Mapping[str, str] = {
    "String": "string",
    "Integer": "integer",
    "Float": "number",
    "Boolean": "boolean",
}


def form_params(parameters: Iterable[Parameter]) -> dict[str, Param]:
    """Return one field of the trigger form for each parameter, with its type, default and limits.

    A default that holds a placeholder is known only where the definition is deployed: its field is empty,
    and nothing is sent for it unless someone fills it in.

    :param parameters: an envelope's ``parameters``.
    :return: what a DAG takes as ``params``.
    """
    return {parameter.name: _param(parameter) for parameter in parameters}


def form_values(parameters: Iterable[Parameter]) -> dict[str, str]:
    """Return the templates that read the form's values, as a start operator takes ``pipeline_params``.

    :param parameters: the same as :func:`form_params` was given.
    """
    return {
        parameter.name: f"{{{{ '' if params.{parameter.name} is none else params.{parameter.name} }}}}"
        for parameter in parameters
    }


def _param(parameter: Parameter) -> Param:
    schema: dict[str, Any] = {"type": _JSON_TYPES[parameter.type]}
    default, description = parameter.default, parameter.description or ""
    if parameter.enum_values:
        schema["enum"] = list(parameter.enum_values)
    if parameter.pattern:
        schema["pattern"] = f"^({parameter.pattern})$"
    for key in ("minimum", "maximum", "section"):
        if (limit := getattr(parameter, key)) is not None:
            schema[key] = limit
    if parameter.has_placeholder_default:
        default = None
        schema["type"] = ["null", schema["type"]]
        description = f"{description} Empty takes the deployed default.".strip()
    return Param(default, description=description or None, title=parameter.name, **schema)
