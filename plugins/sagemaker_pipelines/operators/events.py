"""Continue only with events that no earlier run has handled."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowSkipException
from airflow.sdk import Asset, BaseOperator

from sagemaker_pipelines.data.events import (
    Event,
    once,
    payloads_of,
    stored_events,
    triggering_events,
)
from sagemaker_pipelines.data.ledger import EventLedger

if TYPE_CHECKING:
    from airflow.sdk import Context

# Kept when modules are moved: the ledger outlives the version that has written it.
STATE_KEY = "sagemaker_pipelines.events"
# The clocks of triggerers differ, and an event that one has stored becomes visible a little later.
CLOCK_SKEW = timedelta(minutes=1)


class SelectNewEventsOperator(BaseOperator):
    """Return the events that triggered this run or arrived since, without those that an earlier run handled.

    Airflow stores an event before the message is deleted: if a triggerer dies in between, the message is
    received again and triggers a second run. That run ends here and is skipped. Handled events are recorded
    for each DAG in Airflow's asset state store: give the DAG ``max_active_runs=1``, so that two runs never
    read it at once. If several events arrive close together, Airflow may trigger a run with only the first
    of them; the others are returned, too.

    The XCom is a list of payloads as described in docs/events.md, the oldest first. It is empty for a run
    that no Airflow asset triggered; that run continues.

    :param assets: the Airflow assets in the DAG's schedule.
    """

    ui_color = "#e2f0d9"

    def __init__(self, *, assets: Sequence[Asset], **kwargs: Any) -> None:
        # A task can use the state store of its inlets only.
        super().__init__(inlets=list(assets), **kwargs)
        self.assets = list(assets)

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Return the new events, and record them for this run and its retries.

        :raises AirflowSkipException: there are no new events.
        """
        first = min((event.timestamp for event in stored_events(context)), default=None)
        if first is None:
            return []
        # The store of one Airflow asset holds the events of all of them, because their subjects differ.
        store = context["asset_state_store"][self.assets[0]]
        key, run_id = f"{STATE_KEY}/{context['dag'].dag_id}", str(context["dag_run"].run_id)
        ledger = EventLedger(store.get(key))
        left, through = self._left_behind(context, first, ledger, store.get(f"{key}/through"))
        new = []
        for payload in once([*triggering_events(context), *left]):
            event = Event.from_payload(payload)
            if ledger.is_new(event, owner=run_id):
                ledger.record(event, owner=run_id)
                new.append(payload)
            else:
                self.log.info(
                    "An earlier run has handled %s, or a later event of the same subject", event.event_id
                )
        if not new:
            raise AirflowSkipException(
                "Earlier runs have handled all events of this run: they are duplicates, and there is no new "
                "data."
            )
        store.set(key, ledger.as_json())
        store.set(f"{key}/through", through)
        return new

    def _left_behind(
        self, context: Context, first: datetime, ledger: EventLedger, through: object
    ) -> tuple[list[dict[str, Any]], str]:
        """Return the payloads of stored events that triggered no run, and the time of the last stored event.

        Airflow 3.3 creates a run with the events up to the first one for which it queued the run. Events that
        arrive before the scheduler creates the run wait for the next event, however long that takes.

        :param first: when the first event of this run was stored.
        :param through: the time that an earlier run returned.
        """
        run_id = str(context["dag_run"].run_id)
        last, since = first, first
        if through:
            known = datetime.fromisoformat(str(through))
            last, since = max(first, known), known - CLOCK_SKEW
        left: list[dict[str, Any]] = []
        for asset in self.assets:
            for stored in context["inlet_events"][asset].after(first.isoformat()):
                last = max(last, stored.timestamp)
                is_later = stored.timestamp > since
                left += [
                    payload
                    for payload in payloads_of([stored])
                    if is_later or ledger.is_recorded(Event.from_payload(payload), run_id)
                ]
        return left, last.isoformat()
