"""Register the models of a DAG as pending, if a comparison or a decision follows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import Param

from sagemaker_pipelines.definition import Envelope, iter_steps
from sagemaker_pipelines.definition.references import parse_reference
from sagemaker_pipelines.states import PENDING

if TYPE_CHECKING:
    from airflow.sdk import Context

    from sagemaker_pipelines.dag.champion import Champion

_WHY = "because the comparison with the champion or a decision follows"


def pending_params(
    envelope: Envelope,
    champion: Champion | None,
    approval: object,
    *given: Mapping[str, object] | None,
) -> dict[str, Any]:
    """Return the ``pipeline_params`` with which a definition registers its models as pending.

    :param envelope: the definition.
    :param champion: the champion of the DAG, in whose group it has to register them.
    :param approval: the approval of the DAG; without both, nothing is changed.
    :param given: values that the DAG sets for parameters of its definition.
    :raises ValueError: the definition registers no model, or in another group or status.
    """
    names = _names(envelope, champion, approval)
    for name in names:
        for values in given:
            if (values or {}).get(name, PENDING) != PENDING:
                raise ValueError(_other_status(name, (values or {})[name]))
    return {name: _Pending(name) for name in names}


def pending_fields(envelope: Envelope, champion: Champion | None, approval: object) -> dict[str, Param]:
    """Return the fields of the trigger form that accept no other status than pending.

    :param envelope: see :func:`pending_params`.
    :param champion: see :func:`pending_params`.
    :param approval: see :func:`pending_params`.
    """
    text = f"Always pending, {_WHY}."
    return {
        name: Param(PENDING, type="string", enum=[PENDING], title=name, section="Gate", description=text)
        for name in _names(envelope, champion, approval)
    }


def _names(envelope: Envelope, champion: Champion | None, approval: object) -> tuple[str, ...]:
    if champion is None and approval is None:
        return ()
    return approval_parameters(envelope, champion.group if champion else None)


def approval_parameters(envelope: Envelope, group: str | None) -> tuple[str, ...]:
    """Return the parameters that decide in which status a definition registers its models.

    :param envelope: the definition.
    :param group: the group in which it has to register them; None means any.
    :raises ValueError: it registers no model, or in another group, or always in another status than pending.
    """
    steps = [step for step in iter_steps(envelope.definition) if step.get("Type") == "RegisterModel"]
    if not steps:
        raise ValueError(
            f"The definition {envelope.name!r} has no RegisterModel step, so it has no models to compare or "
            "to approve. Register the model, or leave out champion= and approval=."
        )
    for step in steps:
        found = step["Arguments"].get("ModelPackageGroupName")
        expected = (group or "").replace("{name_prefix}", "${name_prefix}")
        if group is not None and isinstance(found, str) and found != expected:
            raise ValueError(
                f"The step {step['Name']!r} of the definition {envelope.name!r} registers models in the "
                f"group {found.replace('${', '{')!r}, but the champion's group is {group!r}; expected the "
                "same. Correct the group of champion=."
            )
    return tuple(_approval_parameters(envelope, steps))


def _approval_parameters(envelope: Envelope, steps: list[Any]) -> Iterator[str]:
    for step in steps:
        status = step["Arguments"].get("ModelApprovalStatus", PENDING)
        reference = parse_reference(status["Get"]) if isinstance(status, dict) and "Get" in status else None
        if reference is not None and reference.kind == "Parameters":
            yield reference.name
        elif status != PENDING:
            raise ValueError(
                f"The step {step['Name']!r} of the definition {envelope.name!r} registers its model as "
                f"{status!r}; expected {PENDING}, {_WHY}. Correct ModelApprovalStatus, or make it a "
                "parameter."
            )


def _other_status(name: str, value: object) -> str:
    return f"{name} is {value!r}; expected {PENDING}, {_WHY}. Leave it out."


@dataclass(frozen=True)
class _Pending:
    """Resolves to the status with which models are registered; a form that asks for another one is refused.

    :param name: the parameter.
    """

    name: str

    def resolve(self, context: Context) -> str:
        value = context["params"].get(self.name)
        if value not in (None, "", PENDING):
            raise AirflowFailException(_other_status(self.name, value))
        return PENDING
