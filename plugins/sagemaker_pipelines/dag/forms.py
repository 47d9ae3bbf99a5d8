"""The trigger form of a DAG, made from a compiled definition's parameters."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow.sdk import Param

from sagemaker_pipelines.data.intervals import INTERVAL_END, INTERVAL_START
from sagemaker_pipelines.definition import Parameter
from sagemaker_pipelines.task.runs import REGISTER_IN_BACKFILL
from sagemaker_pipelines.task.values import form_value

if TYPE_CHECKING:
    from airflow.sdk import Context

PIPELINE_VERSION_ID = "PipelineVersionId"
#: Fields of the form that belong to the run and not to the definition.
RUN_FIELDS = (PIPELINE_VERSION_ID, INTERVAL_START, INTERVAL_END, REGISTER_IN_BACKFILL)

_JSON_TYPES: Mapping[str, str] = {
    "String": "string",
    "Integer": "integer",
    "Float": "number",
    "Boolean": "boolean",
}


def form_params(
    parameters: Iterable[Parameter], *, by_interval: Collection[str] = (), set_elsewhere: Collection[str] = ()
) -> dict[str, Param]:
    """Return one field of the trigger form for each parameter, with its type, default and limits.

    A default that holds a placeholder is known only where the definition is deployed: its field is empty,
    and nothing is sent for it unless someone fills it in.

    :param parameters: an envelope's ``parameters``.
    :param by_interval: names of those whose value the run's interval selects; their fields are empty, too.
    :param set_elsewhere: names of those that the DAG gives a value; one without a default may stay empty.
        Airflow refuses a DAG with a schedule whose form has a required field.
    :return: what a DAG takes as ``params``.
    """
    return {
        parameter.name: _param(
            parameter, by_interval=parameter.name in by_interval, is_set=parameter.name in set_elsewhere
        )
        for parameter in parameters
    }


def form_values(parameters: Iterable[Parameter]) -> dict[str, Any]:
    """Return what reads the form's values, as a start operator takes ``pipeline_params``.

    An empty field, and one that the form does not have, leaves its parameter to the default.

    :param parameters: the same as :func:`form_params` was given.
    """
    return {parameter.name: form_value(parameter.name) for parameter in parameters}


def run_params(*, interval: bool = False, backfill: bool = False) -> dict[str, Param]:
    """Return the fields of the trigger form that belong to a run and not to the definition.

    :param interval: whether the run selects partitions.
    :param backfill: whether a backfill leaves something out that it may be asked for.
    """
    fields = {
        PIPELINE_VERSION_ID: Param(
            None,
            type=["null", "integer"],
            minimum=1,
            title=PIPELINE_VERSION_ID,
            section="Run",
            description="A deployed version to execute, such as in all runs of a backfill; empty upserts.",
        )
    }
    if interval:
        for name, text in ((INTERVAL_START, "First moment"), (INTERVAL_END, "End")):
            fields[name] = Param(
                None,
                type=["null", "string"],
                format="date-time",
                title=name,
                section="Run",
                description=f"{text} of the interval whose data a manual run reads; empty reads the URIs.",
            )
    if backfill:
        fields[REGISTER_IN_BACKFILL] = Param(
            False,
            type="boolean",
            title=REGISTER_IN_BACKFILL,
            section="Run",
            description="Whether a backfill registers, notifies and triggers too.",
        )
    return fields


def _param(parameter: Parameter, *, by_interval: bool, is_set: bool) -> Param:
    schema: dict[str, Any] = {"type": _JSON_TYPES[parameter.type]}
    default, description = parameter.default, parameter.description or ""
    if parameter.enum_values:
        schema["enum"] = list(parameter.enum_values)
    if parameter.pattern:
        schema["pattern"] = f"^({parameter.pattern})$"
    for key in ("minimum", "maximum", "section"):
        if (limit := getattr(parameter, key)) is not None:
            schema[key] = limit
    if by_interval or parameter.has_placeholder_default or (is_set and default is None):
        default = None
        schema["type"] = ["null", schema["type"]]
        if "enum" in schema:
            schema["enum"].append(None)
        description = f"{description} {_empty(parameter, by_interval)}".strip()
    elif default is None:
        # Airflow refuses the field in a DAG with a schedule when the DAG is made, so no check of ours comes
        # first. Its message shows the schema, whose comment names the cure.
        schema["$comment"] = (
            f"{parameter.name} has no default: in a DAG with a schedule, give it by "
            f"pipeline_params={{{parameter.name!r}: ...}} and make the form with "
            f"form_params(..., set_elsewhere=[{parameter.name!r}])"
        )
    return Param(default, description=description or None, title=parameter.name, **schema)


def _empty(parameter: Parameter, by_interval: bool) -> str:
    default = "the deployed default" if parameter.has_placeholder_default else parameter.default
    if not by_interval:
        return f"Empty takes {'what the DAG gives' if default is None else default}."
    otherwise = f", or {default} where it has none" if default is not None else ""
    return f"Empty takes what the run's interval selects{otherwise}."


@dataclass(frozen=True)
class UnlessPinned:
    """Take the file, or nothing where the form pins a version, which may have other parameters.

    :param definition: path of the compiled definition.
    """

    definition: str

    def resolve(self, context: Context) -> str:
        return "" if context["params"].get(PIPELINE_VERSION_ID) else self.definition
