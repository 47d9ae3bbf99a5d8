"""Read the messages of S3 and EventBridge in an SQS queue as one kind of event.

A queue may receive these messages, directly or through an SNS topic:

- S3's own notifications,
  https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html;
- S3's events on EventBridge, https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html;
- SageMaker's events on EventBridge,
  https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html.

All of these services deliver messages at least once and in no fixed order:
:class:`~sagemaker_pipelines.data.ledger.EventLedger` knows which events are new.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote_plus

from sagemaker_pipelines.exceptions import UnreadableMessageError
from sagemaker_pipelines.reading import parse_json

S3, EXECUTION = "s3", "execution"
EXECUTION_CHANGE = "SageMaker Model Building Pipeline Execution Status Change"
_S3_CREATED = ("ObjectCreated:", "Object Created")
_PARTITION = re.compile(r"(?:^|/)dt=(\d{4}-\d{2}-\d{2})/(?:hour=(\d{1,2})/)?", re.ASCII)
# The order of statuses, for events in the same second.
_RANKS = {"Executing": 0, "Stopping": 1}


@dataclass(frozen=True)
class Event:
    """Something that happened to an object or an execution.

    :param kind: ``"s3"`` or ``"execution"``.
    :param subject: the URI of the object, or the ARN of the execution.
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


def parse_message(body: str) -> list[Event]:
    """Return the events in the body of one SQS message.

    :param body: the text of the message.
    :return: the events; none for S3's test message and for events other than a new object.
    :raises UnreadableMessageError: it is not JSON, or does not come from one of these services.
    """
    document = _load(body)
    if document.get("Type") == "Notification" and "Message" in document:
        document = _load(document["Message"])
    if document.get("Event") == "s3:TestEvent":
        return []
    try:
        if isinstance(document.get("Records"), list):
            return [event for record in document["Records"] for event in _notification(record)]
        if document.get("source") == "aws.s3":
            return _s3_on_eventbridge(document)
        if document.get("detail-type") == EXECUTION_CHANGE:
            return [_execution(document)]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnreadableMessageError(
            f"The message is {_shown(body)}, expected all members of its kind ({type(error).__name__}: "
            f"{error}). Check what sends to the queue."
        ) from error
    raise UnreadableMessageError(
        f"The message is {_shown(body)}, expected an event of S3 or of a pipeline execution. Check what "
        "sends to the queue: nothing else should."
    )


def _load(text: Any) -> dict[str, Any]:
    try:
        document = parse_json(text)
    except (TypeError, ValueError):
        document = None
    if not isinstance(document, dict):
        raise UnreadableMessageError(
            f"The message is {_shown(text)}, expected a JSON object of S3, SNS or EventBridge. Check what "
            "sends to the queue."
        )
    return document


def _notification(record: Mapping[str, Any]) -> list[Event]:
    """Read one record of S3's own notifications, in which the key is URL-encoded."""
    if record["eventSource"] != "aws:s3":
        raise ValueError(f"eventSource is {record['eventSource']!r}, expected 'aws:s3'")
    detail, name = record["s3"], str(record["eventName"]).removeprefix("s3:")
    if not name.startswith(_S3_CREATED):
        return []
    item = detail["object"]
    return [
        _s3_event(
            bucket=detail["bucket"]["name"],
            key=unquote_plus(item["key"]),
            item={**item, "version_id": item.get("versionId")},
            name=name,
            time=record["eventTime"],
        )
    ]


def _s3_on_eventbridge(document: Mapping[str, Any]) -> list[Event]:
    """Read S3's event on EventBridge, in which the key is not encoded."""
    if not document["detail-type"].startswith(_S3_CREATED):
        return []
    detail = document["detail"]
    item = detail["object"]
    return [
        _s3_event(
            bucket=detail["bucket"]["name"],
            key=item["key"],
            item={**item, "eTag": item.get("etag") or item.get("eTag"), "version_id": item.get("version-id")},
            name=document["detail-type"],
            time=document["time"],
        )
    ]


def _s3_event(*, bucket: str, key: str, item: Mapping[str, Any], name: str, time: str) -> Event:
    uri, when, sequencer = f"s3://{bucket}/{key}", _utc(time), str(item.get("sequencer") or "")
    # Without a sequencer, only the time distinguishes the same bytes written again from a duplicate.
    mark = sequencer or item.get("version_id") or f"{item.get('eTag')}@{when}"
    known = {
        "kind": S3,
        "subject": uri,
        "event_id": f"{uri}#{mark}",
        "order": [when, sequencer],
        "event_name": name,
        "event_time": when,
        "uri": uri,
        "bucket": bucket,
        "key": key,
        "size": item.get("size"),
        "etag": item.get("eTag"),
        "version_id": item.get("version_id"),
        "sequencer": sequencer or None,
        **_partition(bucket, key),
    }
    return Event.from_payload({name: value for name, value in known.items() if value is not None})


def _partition(bucket: str, key: str) -> dict[str, str]:
    found = _PARTITION.search(key)
    if found is None:
        return {}
    day, hour = found.groups()
    try:
        start = datetime.fromisoformat(day).replace(hour=int(hour or 0), tzinfo=UTC)
    except ValueError:  # dt=2026-13-40 is not a date, but an ordinary folder name
        return {}
    end = start + (timedelta(days=1) if hour is None else timedelta(hours=1))
    return {
        "partition_uri": f"s3://{bucket}/{key[: found.end()]}",
        "interval_start": start.isoformat(),
        "interval_end": end.isoformat(),
    }


def _execution(document: Mapping[str, Any]) -> Event:
    detail = document["detail"]
    arn, status = detail["pipelineExecutionArn"], detail["currentPipelineExecutionStatus"]
    when = _utc(document["time"])
    # SageMaker may report a change more than once; a retried execution ends at another time.
    ended = detail.get("executionEndTime")
    known = {
        "kind": EXECUTION,
        "subject": arn,
        "event_id": f"{arn}#{status}@{ended or when}",
        "order": [_utc(ended) if ended else when, str(_RANKS.get(status, 2))],
        "event_time": when,
        "pipeline_execution_arn": arn,
        "pipeline_arn": detail["pipelineArn"],
        "pipeline_name": detail["pipelineArn"].partition(":pipeline/")[2],
        "status": status,
        "previous_status": detail.get("previousPipelineExecutionStatus"),
        "display_name": detail.get("pipelineExecutionDisplayName"),
        "description": detail.get("pipelineExecutionDescription"),
        "failure_reason": detail.get("failureReason"),
        "start_time": detail.get("executionStartTime"),
        "end_time": ended,
    }
    return Event.from_payload({name: value for name, value in known.items() if value is not None})


def _utc(text: Any) -> str:
    """Return a time as ISO 8601 in UTC with milliseconds, so that the strings compare like the times."""
    when = datetime.fromisoformat(str(text))
    when = when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    return when.isoformat(timespec="milliseconds")


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


def _shown(text: Any) -> str:
    shown = repr(text)
    return shown if len(shown) <= 200 else f"{shown[:197]}..."
