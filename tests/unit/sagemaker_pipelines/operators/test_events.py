"""A run goes on with the events that no earlier run of its DAG has had."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException
from airflow.sdk import Asset

from sagemaker_pipelines.events import parse_message
from sagemaker_pipelines.operators.events import SelectNewEventsOperator
from tests.unit.sagemaker_pipelines.event_messages import s3_notification
from tests.unit.sagemaker_pipelines.samples import TaskStateStore

DATA = Asset("data")


def select(
    store: TaskStateStore, *bodies: str, run_id: str = "run-1", dag_id: str = "train"
) -> list[dict[str, Any]]:
    events = [
        SimpleNamespace(extra={"from_trigger": True, "payload": event.payload})
        for body in bodies
        for event in parse_message(body)
    ]
    context: Any = {
        "triggering_asset_events": {DATA: events} if events else {},
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


def test_each_dag_has_its_own_memory() -> None:
    store, message = TaskStateStore(), s3_notification()
    select(store, message)
    assert len(select(store, message, run_id="run-2", dag_id="report")) == 1


def test_a_run_that_no_asset_made_goes_on_with_nothing() -> None:
    assert select(TaskStateStore()) == []


def test_its_assets_are_inlets_so_that_airflow_opens_their_store() -> None:
    assert SelectNewEventsOperator(task_id="select_events", assets=[DATA]).inlets == [DATA]
