"""Go on only with events that no earlier run has had."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowSkipException
from airflow.sdk import Asset, BaseOperator

from sagemaker_pipelines.events import Event, EventLedger, triggering_events

if TYPE_CHECKING:
    from airflow.sdk import Context

STATE_KEY = "sagemaker_pipelines.events"


class SelectNewEventsOperator(BaseOperator):
    """Return the events that woke this run, without those that an earlier run of the DAG has had.

    Airflow stores an event, and then the message is deleted: a triggerer that dies in between receives the
    message again and makes a second run of it. That run ends here, skipped. The memory is Airflow's asset
    state store, by DAG: give the DAG ``max_active_runs=1``, so that two runs never read it at once.

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
        payloads = triggering_events(context)
        if not payloads:
            return []
        # One asset's store keeps the events of all: their subjects differ.
        store = context["asset_state_store"][self.assets[0]]
        key = f"{STATE_KEY}/{context['dag'].dag_id}"
        run_id = str(context["dag_run"].run_id)
        ledger = EventLedger(store.get(key))
        new = []
        for payload in payloads:
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
        return new
