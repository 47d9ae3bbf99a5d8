"""Remember events, to know which ones are new."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from sagemaker_pipelines.data.events import Event


class EventLedger:
    """Know which events are new: neither delivered before, nor older than a known event of the same subject.

    :param known: what :meth:`as_json` of an earlier ledger returned.
    :param size: the number of subjects to remember; the oldest are forgotten first.
    """

    def __init__(self, known: Any = None, *, size: int = 200) -> None:
        entries = known.items() if isinstance(known, Mapping) else ()
        self._known: dict[str, tuple[str, str, str, str]] = {
            subject: (entry[0], entry[1], entry[2], entry[3]) for subject, entry in entries
        }
        self._size = size

    def is_new(self, event: Event, *, owner: str = "") -> bool:
        """Return whether the event is new, or was recorded by the same owner.

        :param event: the event.
        :param owner: the id of the run that asks, so that its task finds its events again after a retry.
        """
        entry = self._known.get(_digest(event.subject))
        if entry is None:
            return True
        event_id, time, finer, recorded_by = entry
        if _digest(event.event_id) == event_id:
            return bool(owner) and owner == recorded_by
        return not _is_older(event.order, (time, finer))

    def is_recorded(self, event: Event, owner: str) -> bool:
        """Return whether this owner has recorded the event."""
        entry = self._known.get(_digest(event.subject))
        return entry is not None and (entry[0], entry[3]) == (_digest(event.event_id), owner)

    def record(self, event: Event, *, owner: str = "") -> None:
        """Remember the event as the last one of its subject.

        :param event: the event.
        :param owner: the id of the run that handles it.
        """
        subject = _digest(event.subject)
        self._known.pop(subject, None)
        self._known[subject] = (_digest(event.event_id), *event.order, owner)
        while len(self._known) > self._size:
            del self._known[next(iter(self._known))]

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON types."""
        return {subject: list(entry) for subject, entry in self._known.items()}


def _digest(text: str) -> str:
    # Airflow's state store accepts 64 KB per value; S3's keys have up to 1,024 bytes.
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _is_older(order: tuple[str, str], known: tuple[str, str]) -> bool:
    # S3's documentation has said both to pad shorter sequencers on the left and to pad them on the right,
    # so only sequencers of the same length are compared.
    if order[1] and len(order[1]) == len(known[1]) > 1:
        return order[1] < known[1]
    return order < known if len(order[1]) == len(known[1]) else order[0] < known[0]
