"""Go on only with events that no earlier run has had."""

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

STATE_KEY = "sagemaker_pipelines.data.events"
# Triggerers' clocks differ, and what one has stored becomes visible a little later.
CLOCK_SKEW = timedelta(minutes=1)


class SelectNewEventsOperator(BaseOperator):
    """Return the events that woke this run or came meanwhile, without those that an earlier run has had.

    Airflow stores an event, and then the message is deleted: a triggerer that dies in between receives the
    message again and makes a second run of it. That run ends here, skipped. The memory is Airflow's asset
    state store, by DAG: give the DAG ``max_active_runs=1``, so that two runs never read it at once.
    Events that arrive close together can wake one run with the first of them only; the others are taken too.

    The XCom is a list of payloads as docs/events.md lists them, the oldest first; it is empty for a run
    that no asset made, which goes on.

    :param assets: the assets of the DAG's schedule.
    """

    ui_color = "#e2f0d9"

    def __init__(self, *, assets: Sequence[Asset], **kwargs: Any) -> None:
        # Airflow opens the state store of a task's inlets only.
        super().__init__(inlets=list(assets), **kwargs)
        self.assets = list(assets)

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Take what is new, for this run and its retries.

        :raises AirflowSkipException: nothing is.
        """
        first = min((event.timestamp for event in stored_events(context)), default=None)
        if first is None:
            return []
        # One asset's store keeps the events of all: their subjects differ.
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
                self.log.info("An earlier run had %s, or a later event of the same", event.event_id)
        if not new:
            raise AirflowSkipException(
                "Earlier runs have had all events of this run: duplicates, no new data."
            )
        store.set(key, ledger.as_json())
        store.set(f"{key}/through", through)
        return new

    def _left_behind(
        self, context: Context, first: datetime, ledger: EventLedger, through: object
    ) -> tuple[list[dict[str, Any]], str]:
        """Return the payloads of stored events that woke no run, and the time of the last stored event.

        Airflow 3.3 makes a run of the events up to the first one that it queued the run for. Those that come
        until the scheduler makes it wait for the next event, however long that takes.

        :param first: when the first event of this run was stored.
        :param through: what an earlier run returned as the second part.
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
