"""A run goes on with the events that no earlier run of its DAG has had."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException
from airflow.sdk import Asset

from sagemaker_pipelines.data.messages import parse_message
from sagemaker_pipelines.operators.events import SelectNewEventsOperator
from tests.unit.sagemaker_pipelines.event_messages import s3_notification
from tests.unit.sagemaker_pipelines.samples import TaskStateStore

DATA = Asset("data")


BEGIN = datetime(2026, 1, 3, tzinfo=UTC)


class Inlet(list[Any]):
    """The stored events of an asset, as a task may ask for them."""

    def after(self, moment: str) -> list[Any]:
        return [event for event in self if event.timestamp >= datetime.fromisoformat(moment)]


def stored(*bodies: str, minute: int = 0) -> list[Any]:
    """Return asset events, a second apart."""
    events = [event for body in bodies for event in parse_message(body)]
    return [
        SimpleNamespace(
            extra={"from_trigger": True, "payload": event.payload},
            timestamp=BEGIN + timedelta(minutes=minute, seconds=number),
        )
        for number, event in enumerate(events)
    ]


def select(
    store: TaskStateStore,
    *bodies: str,
    run_id: str = "run-1",
    dag_id: str = "train",
    woken_by: int | None = None,
    minute: int = 0,
) -> list[dict[str, Any]]:
    """Run the task.

    :param bodies: messages whose events are stored when it runs.
    :param woken_by: how many of them Airflow has given to the run; None gives it all.
    """
    everything = stored(*bodies, minute=minute)
    events = everything[:woken_by]
    context: Any = {
        "triggering_asset_events": {DATA: events} if events else {},
        "inlet_events": {DATA: Inlet(everything)},
        "asset_state_store": {DATA: store},
        "dag": SimpleNamespace(dag_id=dag_id),
        "dag_run": SimpleNamespace(run_id=run_id),
    }
    return SelectNewEventsOperator(task_id="select_events", assets=[DATA]).execute(context)


def test_a_duplicates_run_is_skipped_and_a_retry_of_the_first_is_not() -> None:
    store, message = TaskStateStore(), s3_notification()
    (payload,) = select(store, message)
    assert payload["partition_uri"] == "s3://ml-data/data/train/dt=2026-01-02/"
    assert select(store, message) == [payload]
    with pytest.raises(AirflowSkipException, match="no new data"):
        select(store, message, run_id="run-2")


def test_of_several_events_only_the_new_ones_go_on() -> None:
    store, first, second = TaskStateStore(), s3_notification("a"), s3_notification("b")
    select(store, first)
    assert [payload["key"] for payload in select(store, first, second, run_id="run-2")] == ["b"]


def test_events_that_came_before_the_run_was_made_and_woke_none_are_taken_too() -> None:
    store, first, second = TaskStateStore(), s3_notification("a"), s3_notification("b")
    assert keys(select(store, first, second, woken_by=1)) == ["a", "b"]
    # A retry and a clear find the same; a run that Airflow makes of the second later has nothing to do.
    assert keys(select(store, first, second, woken_by=1)) == ["a", "b"]
    with pytest.raises(AirflowSkipException, match="no new data"):
        select(store, second, run_id="run-2")


def test_a_run_that_is_cleared_later_takes_nothing_of_the_runs_after_it() -> None:
    store = TaskStateStore()
    first, second = s3_notification("a"), s3_notification("b")
    others = [s3_notification(str(number)) for number in range(250)]
    select(store, first, second, woken_by=1)
    # More than the memory holds.
    select(store, *others, run_id="run-2", minute=5)
    cleared = [*stored(first, second), *stored(*others, minute=5)]
    context: Any = {
        "triggering_asset_events": {DATA: cleared[:1]},
        "inlet_events": {DATA: Inlet(cleared)},
        "asset_state_store": {DATA: store},
        "dag": SimpleNamespace(dag_id="train"),
        "dag_run": SimpleNamespace(run_id="run-1"),
    }
    taken = SelectNewEventsOperator(task_id="select_events", assets=[DATA]).execute(context)
    assert not {str(number) for number in range(50)} & set(keys(taken))


def keys(payloads: list[dict[str, Any]]) -> list[str]:
    return [payload["key"] for payload in payloads]


def test_each_dag_has_its_own_memory() -> None:
    store, message = TaskStateStore(), s3_notification()
    select(store, message)
    assert len(select(store, message, run_id="run-2", dag_id="report")) == 1


def test_a_run_that_no_asset_made_goes_on_with_nothing() -> None:
    assert select(TaskStateStore()) == []


def test_its_assets_are_inlets_so_that_airflow_opens_their_store() -> None:
    assert SelectNewEventsOperator(task_id="select_events", assets=[DATA]).inlets == [DATA]
