"""Messages are read in every wrapping; what was delivered before, or too late, is told apart."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from sagemaker_pipelines.data.events import triggering_events
from sagemaker_pipelines.data.ledger import EventLedger
from sagemaker_pipelines.data.messages import parse_message
from sagemaker_pipelines.exceptions import UnreadableMessageError
from tests.unit.sagemaker_pipelines.event_messages import (
    EXECUTION,
    PACKAGE,
    PIPELINE,
    S3_TEST,
    alarm_changed,
    callback_message,
    execution_changed,
    package_changed,
    s3_notification,
    s3_on_eventbridge,
    through_sns,
)

URI = "s3://ml-data/data/train/dt=2026-01-02/part 1.csv"


@pytest.mark.parametrize(
    "body", [s3_notification(), s3_on_eventbridge(), through_sns(s3_notification())], ids=["s3", "bus", "sns"]
)
def test_an_object_is_read_alike_in_every_wrapping(body: str) -> None:
    (event,) = parse_message(body)
    assert (event.kind, event.subject, event.payload["uri"]) == ("s3", URI, URI)
    assert event.payload["partition_uri"] == "s3://ml-data/data/train/dt=2026-01-02/"
    assert event.payload["interval_start"] == "2026-01-02T00:00:00+00:00"
    assert event.payload["interval_end"] == "2026-01-03T00:00:00+00:00"
    assert json.loads(json.dumps(event.payload)) == event.payload


@pytest.mark.parametrize(
    ("key", "interval"),
    [
        ("dt=2026-01-02/x.csv", ("2026-01-02T00:00:00+00:00", "2026-01-03T00:00:00+00:00")),
        ("a/dt=2026-12-31/hour=23/x.csv", ("2026-12-31T23:00:00+00:00", "2027-01-01T00:00:00+00:00")),
        ("a/dt=2026-13-40/x.csv", (None, None)),
        ("a/x.csv", (None, None)),
        ("a/dt=2026-01-0\N{ARABIC-INDIC DIGIT TWO}/x.csv", (None, None)),
        ("a/mydt=2026-01-02/x.csv", (None, None)),
    ],
)
def test_a_partition_in_the_key_gives_its_interval(key: str, interval: tuple[str | None, str | None]) -> None:
    (event,) = parse_message(s3_on_eventbridge(key))
    assert (event.payload.get("interval_start"), event.payload.get("interval_end")) == interval


def test_a_callback_step_is_read_with_its_arguments_and_its_stop_is_always_later() -> None:
    ((waits,), (stops,)) = map(parse_message, (callback_message(), callback_message("Stopping")))
    assert (waits.kind, waits.subject, stops.subject) == ("callback", "abcDEF1234", "abcDEF1234")
    assert waits.payload["arguments"] == {"Train": "s3://ml-data/train"}
    assert waits.payload["pipeline_execution_arn"] == EXECUTION
    ledger = EventLedger()
    ledger.record(stops)
    assert not ledger.is_new(waits)
    assert not ledger.is_new(stops)


@pytest.mark.parametrize("wrong", [{"token": "short"}, {"token": 1}, {"status": "Done"}, {"arguments": 1}])
def test_a_callback_message_that_aws_would_not_send_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UnreadableMessageError, match="expected all members of its kind"):
        parse_message(json.dumps({**json.loads(callback_message()), **wrong}))


def test_an_execution_is_read_with_its_status() -> None:
    (event,) = parse_message(execution_changed("Failed"))
    assert (event.kind, event.subject) == ("execution", EXECUTION)
    assert event.payload["pipeline_name"] == "abalone"
    assert event.payload["pipeline_arn"] == PIPELINE
    assert event.payload["status"] == "Failed"


def test_a_model_package_is_read_with_its_approval() -> None:
    (event,) = parse_message(package_changed("Rejected"))
    assert (event.kind, event.subject) == ("model_package", PACKAGE)
    known = ("model_package_group_name", "model_package_version", "approval_status", "model_package_status")
    assert [event.payload[name] for name in known] == ["abalone", 2, "Rejected", "Completed"]


def test_an_alarm_is_read_with_the_interval_of_its_values() -> None:
    (event,) = parse_message(alarm_changed())
    assert (event.kind, event.subject.rpartition(":")[2]) == ("alarm", "abalone-drift")
    known = ("alarm_name", "state", "previous_state", "reason", "interval_start", "interval_end")
    assert [event.payload[name] for name in known] == [
        *("abalone-drift", "ALARM", "OK", "Threshold Crossed"),
        *("2026-01-03T04:00:00+00:00", "2026-01-03T06:00:00+00:00"),
    ]


def test_an_alarm_without_its_values_has_no_interval() -> None:
    (event,) = parse_message(alarm_changed(reason_data='{"version": "1.0"}'))
    assert "interval_start" not in event.payload


def test_a_report_of_model_monitor_is_read_with_its_hour() -> None:
    folder = "monitoring/abalone/hourly/2026/01/03/05/"
    (event,) = parse_message(s3_notification(f"{folder}constraint_violations.json"))
    assert event.payload["partition_uri"] == f"s3://ml-data/{folder}"
    assert event.payload["interval_start"] == "2026-01-03T05:00:00+00:00"
    assert event.payload["interval_end"] == "2026-01-03T06:00:00+00:00"


@pytest.mark.parametrize("body", [S3_TEST, s3_notification(name="ObjectRemoved:Delete")])
def test_what_reports_no_new_object_is_no_event(body: str) -> None:
    assert parse_message(body) == []


@pytest.mark.parametrize(
    "body",
    ["no JSON", "[1]", "null", '{"detail-type": "Other"}', '{"Records": [{"eventSource": "aws:ses"}]}',
     '{"Records": [7]}', '{"Type": "Notification", "Message": "hello"}',
     pytest.param("[" * 100_000, id="nested too deeply")],
)  # fmt: skip
def test_a_foreign_message_is_refused_with_what_was_seen(body: str) -> None:
    with pytest.raises(UnreadableMessageError, match="The message"):
        parse_message(body)


def one(body: str) -> object:
    (event,) = parse_message(body)
    return event


@pytest.mark.parametrize(
    ("first", "second", "is_new"),
    [
        (s3_notification(), s3_notification(), False),
        (s3_notification(), s3_notification(sequencer="0055AED6DCD90281E6"), True),
        (s3_notification(), s3_notification(sequencer="0055AED6DCD90281E4"), False),
        (s3_notification(), s3_notification("data/other.csv"), True),
        # Sequencers of different lengths do not compare: the time decides.
        (s3_notification(), s3_notification(sequencer="F", time="2026-01-03T00:11:00Z"), True),
        (s3_notification(), s3_notification(sequencer="F", time="2026-01-03T00:09:00Z"), False),
        # Without a sequencer the same bytes at another time are new data.
        (s3_notification(sequencer=None), s3_notification(sequencer=None), False),
        (
            s3_notification(sequencer=None),
            s3_notification(sequencer=None, time="2026-01-04T00:00:00Z"),
            True,
        ),
        # SageMaker announces one change several times, at different times.
        (execution_changed(), execution_changed(time="2026-01-03T00:10:07Z"), False),
        (execution_changed(), execution_changed("Executing", end=None, time="2026-01-03T00:00:00Z"), False),
        (execution_changed("Executing", end=None, time="2026-01-03T00:09:59Z"), execution_changed(), True),
        # RetryPipelineExecution ends the same execution once more.
        (execution_changed("Failed"), execution_changed("Failed", end="2026-01-03T01:00:00Z"), True),
        (execution_changed("Succeeded"), execution_changed("Failed", end="2026-01-02T23:00:00Z"), False),
        (package_changed(), package_changed(time="2026-01-03T00:10:07Z"), False),
        (package_changed(), package_changed("Rejected", modified="2026-01-03T00:00:00Z"), False),
        (package_changed("Rejected"), package_changed(modified="2026-01-03T01:00:00Z"), True),
    ],
)  # fmt: skip
def test_the_ledger_drops_duplicates_and_what_comes_too_late(first: str, second: str, is_new: bool) -> None:
    ledger = EventLedger()
    (event,), (other,) = parse_message(first), parse_message(second)
    assert ledger.is_new(event)
    ledger.record(event)
    assert ledger.is_new(other) is is_new
    assert EventLedger(json.loads(json.dumps(ledger.as_json()))).is_new(other) is is_new


def test_the_owner_of_an_event_finds_it_again() -> None:
    ledger = EventLedger()
    (event,) = parse_message(s3_notification())
    ledger.record(event, owner="run-1")
    assert ledger.is_new(event, owner="run-1")
    assert not ledger.is_new(event, owner="run-2")


def test_the_ledger_fits_airflows_state_store() -> None:
    ledger = EventLedger()
    for number in range(300):
        for event in parse_message(s3_notification(f"{'k' * 900}/{number}")):
            ledger.record(event, owner="asset_triggered__2026-01-03T00:00:00.000000+00:00_abcdefgh")
    text = json.dumps(ledger.as_json())
    assert (len(ledger.as_json()), len(text) < 65_535) == (200, True)


def test_a_run_sees_each_of_its_events_once_and_in_order() -> None:
    bodies = [s3_notification(time="2026-01-03T02:00:00Z", sequencer="2B"), s3_notification(sequencer="1A")]
    payloads = [parse_message(body)[0].payload for body in [*bodies, bodies[0]]]
    events = [SimpleNamespace(extra={"from_trigger": True, "payload": payload}) for payload in payloads]
    foreign = SimpleNamespace(extra={"payload": "of another watcher"})
    got = triggering_events({"triggering_asset_events": {"a": [*events, foreign]}})
    assert [payload["sequencer"] for payload in got] == ["1A", "2B"]
    assert triggering_events({}) == []
