"""Check the arguments of a DAG against its definition, when the DAG is parsed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from inspect import signature
from typing import Any

from airflow.sdk import DAG, Param, ParamsDict  # type: ignore[attr-defined]  # Its stub lacks ParamsDict.
from airflow.sdk.exceptions import ParamValidationError

from sagemaker_pipelines.dag.forms import RUN_FIELDS
from sagemaker_pipelines.data.partitions import Partitions
from sagemaker_pipelines.definition import Envelope, Gate, gate_of, s3_data_types
from sagemaker_pipelines.definition.envelope import MAX_NAME_LENGTH, is_pipeline_name
from sagemaker_pipelines.exceptions import GateError
from sagemaker_pipelines.masking import masked


def check_arguments(given: Collection[str], tasks: Callable[..., Any]) -> None:
    """Refuse an argument that the tasks of a DAG do not have.

    :param given: the names of the arguments.
    :param tasks: the function that makes the tasks.
    :raises TypeError: an argument is unknown.
    """
    known = signature(tasks).parameters
    if unknown := sorted(set(given) - set(known)):
        raise TypeError(
            f"{unknown[0]!r} is not an argument of sagemaker_pipeline_dag. What belongs to the DAG goes into "
            f"dag_options={{{unknown[0]!r}: ...}}, and what belongs to every task into default_args."
        )


def check_pipeline_name(envelope: Envelope, pipeline_name: str | None) -> None:
    """Refuse a name under which SageMaker would not deploy the definition; the compiler checks its own.

    :param envelope: the definition.
    :param pipeline_name: the name to deploy under; None means that of the definition.
    :raises ValueError: SageMaker would refuse the given name.
    :raises DefinitionError: it would refuse the definition's own.
    """
    if pipeline_name is None and envelope.origin is not None:
        envelope.pipeline_name()
    elif pipeline_name is not None and not is_pipeline_name(pipeline_name):
        raise ValueError(
            f"pipeline_name is {pipeline_name!r}; expected at most {MAX_NAME_LENGTH} letters, digits and "
            "hyphens, starting with a letter or digit. Correct it."
        )


def check_names(envelope: Envelope, *given: Any) -> None:
    """Refuse names that are not parameters of the definition.

    :param envelope: the definition.
    :param given: collections of names, or None.
    :raises ValueError: a name is unknown; the message lists the parameters.
    """
    known = [parameter.name for parameter in envelope.parameters]
    for name in (name for names in given for name in names or ()):
        if name not in known:
            raise ValueError(
                f"{name!r} is not a parameter of the definition {envelope.name!r}; expected one of "
                f"{', '.join(sorted(known)) or '(none declared)'}. Correct the name, or remove it."
            )


def check_data_types(envelope: Envelope, inputs: Mapping[str, Partitions]) -> None:
    """Refuse partitions whose form does not match how the definition reads them.

    :param envelope: the definition.
    :param inputs: partitions by parameter.
    :raises ValueError: its ``S3DataType`` does not fit.
    """
    for name, partitions in inputs.items():
        wanted = "S3Prefix" if partitions.manifest is None else "ManifestFile"
        for found in s3_data_types(envelope.definition, name) - {wanted}:
            cure = "Give its Partitions a manifest" if partitions.manifest is None else "Leave out manifest="
            raise ValueError(
                f"The definition {envelope.name!r} reads {name} as {found}, but its partitions would be a "
                f"{wanted}. {cure}, or change S3DataType in the definition."
            )


def check_bounds(**bounds: object) -> None:
    """Refuse bounds on what an execution bills that could never hold.

    :param bounds: by name, each a number or None.
    :raises ValueError: one is not a number above 0.
    """
    for name, bound in bounds.items():
        is_number = isinstance(bound, int | float) and not isinstance(bound, bool)
        if bound is not None and not (is_number and 0 < float(str(bound)) < float("inf")):
            raise ValueError(f"{name} is {bound!r}; expected a number above 0. Correct it, or leave it out.")


def check_form(
    envelope: Envelope, form: Any, *, by_interval: Sequence[str], set_elsewhere: Collection[str]
) -> None:
    """Check that each parameter can get its value with the DAG's form.

    :param envelope: the definition.
    :param form: the DAG's params.
    :param by_interval: parameters whose value the run's interval selects.
    :param set_elsewhere: parameters that get their value from ``pipeline_params``.
    :raises ValueError: a field hides another value, or a parameter could never have one.
    """
    for parameter in envelope.parameters:
        name = parameter.name
        if name in set_elsewhere:
            continue
        if name in RUN_FIELDS:
            raise ValueError(
                f"The definition {envelope.name!r} has a parameter {name!r}, but the trigger form has its "
                f"own field with that name. Expected a name other than {', '.join(RUN_FIELDS)}. Rename the "
                f"parameter, or set its value with pipeline_params={{{name!r}: ...}}."
            )
        if parameter.default is None and name not in by_interval and name not in form:
            raise ValueError(
                f"The parameter {name!r} of the definition {envelope.name!r} has no default, and the trigger "
                "form has no field for it. Add params=form_params(...) to the DAG, or set its value with "
                f"pipeline_params={{{name!r}: ...}}."
            )
    fields = ParamsDict(form)
    for name in by_interval:
        if name in fields and fields.get_param(name).has_value and (value := fields[name]) not in (None, ""):
            raise ValueError(
                f"The form fills in {name} with {masked({name: value})[name]!r}, so no interval would ever "
                "select a value. Expected an empty field. Create it with form_params(..., by_interval=[...])."
            )


def gate_for(envelope: Envelope, gate: bool | str | None, *, needed: bool) -> Gate | None:
    """Return the gate that a DAG acts on; None if it has none.

    :param envelope: the definition.
    :param gate: its Condition step; None finds it, True requires one, False ignores it.
    :param needed: whether another argument needs the gate.
    :raises ValueError: the definition has no such gate.
    """
    if gate is False:
        if needed:
            raise ValueError(
                "gate is False, but scoring_dag, result, champion and approval need a gate. Leave out "
                "gate=False, or leave out these."
            )
        return None
    try:
        return gate_of(envelope.definition, condition_step=gate if isinstance(gate, str) else None)
    except GateError as error:
        if gate is None and not needed:
            return None
        raise ValueError(f"The definition {envelope.name!r} has no such gate: {error}") from error


def set_form(dag: DAG, form: Mapping[str, Any], *, scheduled: bool) -> None:
    """Give a DAG its form, after its tasks: Airflow copies the params that it has into each task it makes.

    :param dag: the DAG, with its tasks.
    :param form: its params.
    :param scheduled: whether the DAG has a schedule of any kind.
    :raises ValueError: the DAG has a schedule, and fields would have no valid value in its runs, which nobody
        fills in; the message names each of them.
    """
    fields = ParamsDict(form)
    fields.update(dag.params)  # from default_args
    try:
        dag.params = fields  # Airflow checks them if the DAG runs by the clock.
    except ValueError:
        _refuse_open_fields(dag.dag_id, form)
        raise
    if scheduled and not dag.timetable.can_be_scheduled:
        _refuse_open_fields(dag.dag_id, form)


def _refuse_open_fields(dag_id: str, form: Mapping[str, Any]) -> None:
    open_fields = []
    for name, field in form.items():
        try:
            if isinstance(field, Param):
                field.resolve()
        except ParamValidationError:
            open_fields.append(name)
    if open_fields:
        raise ValueError(
            f"The DAG {dag_id!r} has a schedule, but its runs would have no valid value for "
            f"{', '.join(open_fields)}. Expected a default, or a value from the DAG. Set it with "
            f"pipeline_params={{{open_fields[0]!r}: ...}} or with inputs, or leave out the schedule."
        )
