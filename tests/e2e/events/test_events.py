"""Data that arrives wakes a DAG once, whatever is delivered twice and whoever dies."""

from __future__ import annotations

import json

import pytest

from tests.e2e.crash.harness import SCHEDULER, TRIGGERER
from tests.e2e.events.conftest import BUCKET, PIPELINE, EventStack
from tests.unit.sagemaker_pipelines.event_messages import s3_notification

pytestmark = pytest.mark.thorough


def trained(events: EventStack, partition: str) -> None:
    events.until(lambda: partition in events.inputs(), f"an execution for {partition}")


def emptied(events: EventStack, queue: str = "abalone-data") -> None:
    events.until(lambda: events.messages(queue) == (0, 0), f"{queue} to be empty")


def test_a_partition_that_arrives_is_trained_on_once(events: EventStack) -> None:
    partition = events.deliver("2026-01-01")
    trained(events, partition)
    emptied(events)
    assert events.inputs().count(partition) == events.asset_events(partition) == 1


def test_a_duplicate_and_a_poison_message_make_no_run(events: EventStack) -> None:
    key = "abalone/data/train/dt%3D2026-01-02/_SUCCESS"
    message = s3_notification(key, bucket="example-ml-artifacts")
    partition = "s3://example-ml-artifacts/abalone/data/train/dt=2026-01-02/"
    events.send(message)
    trained(events, partition)
    events.send("poison")
    events.send(message)
    events.send(message)
    emptied(events)
    assert (events.asset_events(partition), events.inputs().count(partition)) == (1, 1)


def test_a_triggerer_killed_before_the_event_is_stored_loses_nothing(events: EventStack) -> None:
    # The runner, its child, goes on receiving; nobody stores what it fires.
    with events.frozen(TRIGGERER, children=False):
        partition = events.deliver("2026-01-03")
        events.until(lambda: events.messages() == (0, 1), "the message to be received")
        assert events.asset_events(partition) == 0
        events.kill(TRIGGERER)
    events.start(TRIGGERER)
    trained(events, partition)
    emptied(events)
    assert (events.asset_events(partition), events.inputs().count(partition)) == (1, 1)


def test_a_triggerer_killed_before_the_message_is_deleted_makes_no_second_execution(
    events: EventStack,
) -> None:
    events.endpoint.add_fault("sqs:DeleteMessageBatch", "error500", count=100_000)
    try:
        partition = events.deliver("2026-01-04")
        events.until(lambda: events.asset_events(partition) == 1, "the event to be stored")
        trained(events, partition)
        assert sum(events.messages()) == 1
        events.kill(TRIGGERER)
    finally:
        events.endpoint.clear_faults()
    events.start(TRIGGERER)
    events.until(lambda: events.asset_events(partition) == 2, "the duplicate")
    emptied(events)
    runs = events.until(lambda: skipped_runs(events), "the duplicate's run")
    assert (len(runs), events.inputs().count(partition)) == (1, 1)


def skipped_runs(events: EventStack) -> list[str]:
    """Return the runs of training that found nothing new."""
    found = []
    for run in events.ended_runs("train_on_new_data"):
        tasks = events.api.task_instances("train_on_new_data", run["dag_run_id"])
        if {task["task_id"]: task["state"] for task in tasks}["select_events"] == "skipped":
            found.append(run["dag_run_id"])
    return found


def test_events_that_come_while_the_scheduler_is_dead_make_runs_later(events: EventStack) -> None:
    events.idle("train_on_new_data")
    events.kill(SCHEDULER)
    try:
        partition = events.deliver("2026-01-05")
        events.until(lambda: events.asset_events(partition) == 1, "the event to be stored")
        emptied(events)
        assert partition not in events.inputs()
    finally:
        events.start(SCHEDULER)
    trained(events, partition)
    assert events.inputs().count(partition) == 1


def test_a_dag_of_one_call_reads_each_partition_that_arrives_once(events: EventStack) -> None:
    days = ["dt=2026-02-01", "dt=2026-02-05"]
    for day in days:
        events.endpoint.client("s3").put_object(
            Bucket=BUCKET, Key=f"arrivals/{day}/rows.csv", Body=day.encode()
        )
    keys = [f"arrivals/{day.replace('=', '%3D')}/_SUCCESS" for day in days]
    messages = [json.loads(s3_notification(key, bucket=BUCKET)) for key in keys]
    both = json.dumps({"Records": [record for message in messages for record in message["Records"]]})
    events.send(both, "arrivals")
    # One message has both events, but Airflow may make a run of the first at once.
    events.until(lambda: len(files_read(events)) == len(days), "both partitions to be read")
    assert sorted(files_read(events)) == [(f"{day}/rows.csv", day) for day in days]
    events.send(both, "arrivals")
    emptied(events, "arrivals")
    runs = events.ended_runs("read_arrivals")
    assert {run["state"] for run in runs} == {"success"}
    assert len(files_read(events)) == len(days)


def files_read(events: EventStack) -> list[tuple[str, str]]:
    """Return each file that an execution of arrivals has found, with its content."""
    s3 = events.endpoint.client("s3")
    found: list[tuple[str, str]] = []
    for item in s3.list_objects_v2(Bucket=BUCKET, Prefix="read/").get("Contents", ()):
        found += json.loads(s3.get_object(Bucket=BUCKET, Key=item["Key"])["Body"].read()).items()
    return found


def test_an_execution_started_elsewhere_wakes_a_dag_and_airflows_own_do_not(events: EventStack) -> None:
    assert events.api.runs("look_at_executions") == []
    arn = events.endpoint.start(PIPELINE)
    (run,) = events.ended_runs("look_at_executions")
    emptied(events, "abalone-executions")
    payloads = events.api.xcom("look_at_executions", run["dag_run_id"], "select_events")
    assert [(p["pipeline_execution_arn"], p["status"]) for p in payloads] == [(arn, "Succeeded")]
