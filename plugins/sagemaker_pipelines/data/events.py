"""Events of AWS as Airflow assets carry them; :mod:`sagemaker_pipelines.data.messages` reads them.

The services deliver messages at least once and in no fixed order:
:class:`~sagemaker_pipelines.data.ledger.EventLedger` knows which events are new.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

S3, EXECUTION, CALLBACK, MODEL_PACKAGE, ALARM = "s3", "execution", "callback", "model_package", "alarm"
_STATUSES = frozenset({"ModelApprovalStatus", "ModelPackageStatus"})


@dataclass(frozen=True)
class Event:
    """Something that happened to an object or a resource of AWS, or the message of a Callback step.

    :param kind: ``"s3"``, ``"execution"``, ``"model_package"``, ``"alarm"`` or ``"callback"``.
    :param subject: the URI of the object, the ARN of the resource, or the token of the callback.
    :param event_id: the same for all deliveries of an event.
    :param order: (time, finer value), which grows with each event of the same subject.
    :param payload: the payload of the event of an Airflow asset; JSON types.
    """

    kind: str
    subject: str
    event_id: str
    order: tuple[str, str]
    payload: dict[str, Any] = field(compare=False)

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> Event:
        """Return the event from which the payload of an Airflow asset's event was made."""
        return cls(
            kind=payload["kind"],
            subject=payload["subject"],
            event_id=payload["event_id"],
            order=(payload["order"][0], payload["order"][1]),
            payload=dict(payload),
        )

    @property
    def changes_approval(self) -> bool:
        """Whether a model package can be used and has just got its approval status.

        SageMaker also reports packages that it is still creating or has failed to create, and changes of
        something else, such as the metadata of an Approved package. It names what has changed, if it does.
        """
        is_usable = self.payload.get("model_package_status", "Completed") == "Completed"
        return is_usable and not _STATUSES.isdisjoint(self.payload.get("updated_fields") or _STATUSES)


def triggering_events(context: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the payloads of the events that triggered a run, each once, the oldest first.

    :param context: the context of the running task.
    :return: payloads as described in docs/events.md; none for runs that no Airflow asset triggered.
    """
    return once(payloads_of(stored_events(context)))


def stored_events(context: Mapping[str, Any]) -> list[Any]:
    """Return the events of Airflow assets that triggered a run, if their payloads are of this package.

    :param context: the context of the running task.
    """
    found = (context.get("triggering_asset_events") or {}).values()
    return [event for events in found for event in events if payloads_of([event])]


def payloads_of(events: Iterable[Any]) -> list[dict[str, Any]]:
    """Return the payloads of those events that a trigger of this package has created."""
    payloads = ((event.extra or {}).get("payload") for event in events)
    return [dict(payload) for payload in payloads if isinstance(payload, Mapping) and "event_id" in payload]


def once(payloads: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return each payload once, the oldest event first."""
    unique = {payload["event_id"]: dict(payload) for payload in payloads}
    return sorted(unique.values(), key=lambda payload: payload["order"])
