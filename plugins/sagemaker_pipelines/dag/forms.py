"""The trigger form of a DAG, made from the parameters of a compiled definition."""

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
MAX_INSTANCE_SECONDS, MAX_COST = "MaxInstanceSeconds", "MaxCost"
#: Fields of the form that belong to the run and not to the definition.
RUN_FIELDS = (
    PIPELINE_VERSION_ID,
    MAX_INSTANCE_SECONDS,
    MAX_COST,
    INTERVAL_START,
    INTERVAL_END,
    REGISTER_IN_BACKFILL,
)

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

    A default with a placeholder is only known after the definition is deployed. Its field is empty, and
    nothing is sent for it unless somebody fills it in.

    :param parameters: an envelope's ``parameters``.
    :param by_interval: names of the parameters whose value the run's interval selects; their fields are empty
        too.
    :param set_elsewhere: names of the parameters that the DAG sets; their fields may stay empty even without
        a default. Airflow refuses a DAG with a schedule if its form has a required field.
    :return: the ``params`` of a DAG.
    """
    return {
        parameter.name: _param(
            parameter, by_interval=parameter.name in by_interval, is_set=parameter.name in set_elsewhere
        )
        for parameter in parameters
    }


def form_values(parameters: Iterable[Parameter]) -> dict[str, Any]:
    """Return the ``pipeline_params`` of a start operator, which read the form's values.

    If a field is empty, or the form does not have it, the parameter gets its default.

    :param parameters: the same as for :func:`form_params`.
    """
    return {parameter.name: form_value(parameter.name) for parameter in parameters}


def run_params(
    *,
    interval: bool = False,
    backfill: bool = False,
    max_instance_seconds: float | None = None,
    max_cost: float | None = None,
) -> dict[str, Param]:
    """Return the fields of the trigger form that belong to a run and not to the definition.

    :param interval: whether the run selects partitions.
    :param backfill: whether a backfill omits something that its form can ask for.
    :param max_instance_seconds: the most that a run's execution may bill, unless its form says otherwise.
    :param max_cost: the same for its cost.
    """
    fields = {
        PIPELINE_VERSION_ID: Param(
            None,
            type=["null", "integer"],
            minimum=1,
            title=PIPELINE_VERSION_ID,
            section="Run",
            description="The deployed version to execute, such as in all runs of a backfill; empty upserts.",
        )
    }
    for name, bound, text in (
        (MAX_INSTANCE_SECONDS, max_instance_seconds, "Stop the execution once it has billed more than this"),
        (MAX_COST, max_cost, "Stop the execution once its jobs have cost more than this"),
    ):
        fields[name] = Param(
            bound,
            type=["null", "number"],
            exclusiveMinimum=0,
            title=name,
            section="Run",
            description=f"{text}; empty means {'no bound of this run' if bound is None else bound}.",
        )
    if interval:
        for name, text in ((INTERVAL_START, "Start"), (INTERVAL_END, "End")):
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
            description="Whether a backfill also registers the model and does what follows, such as scoring.",
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
        # In a DAG with a schedule, Airflow refuses the field when the DAG is created, before any check of
        # ours. Its message shows the schema, whose comment names the cure.
        schema["$comment"] = (
            f"{parameter.name} has no default: in a DAG with a schedule, set it with "
            f"pipeline_params={{{parameter.name!r}: ...}} and create the form with "
            f"form_params(..., set_elsewhere=[{parameter.name!r}])"
        )
    return Param(default, description=description or None, title=parameter.name, **schema)


def _empty(parameter: Parameter, by_interval: bool) -> str:
    default = "the deployed default" if parameter.has_placeholder_default else parameter.default
    if not by_interval:
        return f"Empty means {'the value that the DAG sets' if default is None else default}."
    otherwise = f", or {default} if it has none" if default is not None else ""
    return f"Empty means what the run's interval selects{otherwise}."


@dataclass(frozen=True)
class UnlessPinned:
    """Resolve to the file, or to nothing if the form pins a version, which may have other parameters.

    :param definition: path of the compiled definition.
    """

    definition: str

    def resolve(self, context: Context) -> str:
        return "" if context["params"].get(PIPELINE_VERSION_ID) else self.definition


@dataclass(frozen=True)
class FormIfPinned:
    """Resolve to the form's own defaults if it pins a version, which may lack some of the parameters.

    :param names: the parameters whose values come from the form.
    """

    names: tuple[str, ...]

    def resolve(self, context: Context) -> dict[str, Any]:
        if not context["params"].get(PIPELINE_VERSION_ID):
            return {}
        form: Any = context["dag"].params
        return {name: form.get_param(name).value if name in form else None for name in self.names}
