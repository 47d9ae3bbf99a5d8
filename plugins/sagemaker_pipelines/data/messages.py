"""Read the messages of S3 and EventBridge in an SQS queue as one kind of event.

A queue may receive these messages, directly or through an SNS topic:

- S3's own notifications,
  https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html;
- S3's events on EventBridge, https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html;
- SageMaker's events on EventBridge,
  https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html;
- the changes of CloudWatch's alarms on EventBridge,
  https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-and-eventbridge.html;
- the messages of a pipeline's Callback steps,
  https://docs.aws.amazon.com/sagemaker/latest/dg/build-and-manage-steps.html#step-type-callback.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote_plus

from sagemaker_pipelines.data.events import ALARM, CALLBACK, EXECUTION, MODEL_PACKAGE, S3, Event
from sagemaker_pipelines.exceptions import UnreadableMessageError
from sagemaker_pipelines.reading import parse_json

EXECUTION_CHANGE = "SageMaker Model Building Pipeline Execution Status Change"
PACKAGE_CHANGE = "SageMaker Model Package State Change"
ALARM_CHANGE = "CloudWatch Alarm State Change"
_S3_CREATED = ("ObjectCreated:", "Object Created")
_PARTITION = re.compile(r"(?:^|/)dt=(\d{4}-\d{2}-\d{2})/(?:hour=(\d{1,2})/)?", re.ASCII)
# Where Model Monitor writes the reports of an hour.
_MONITORED = re.compile(r"(?:^|/)(\d{4})/(\d{2})/(\d{2})/(\d{2})/(?=[^/]+\Z)", re.ASCII)
# The order of statuses, for events in the same second.
_RANKS = {"Executing": 0, "Stopping": 1}


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
        if document.get("detail-type") == PACKAGE_CHANGE:
            return [_model_package(document)]
        if document.get("detail-type") == ALARM_CHANGE:
            return [_alarm(document)]
        if {"token", "pipelineExecutionArn"} <= document.keys():
            return [_callback(document)]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnreadableMessageError(
            f"The message is {_shown(body)}, expected all members of its kind ({type(error).__name__}: "
            f"{error}). Check what sends to the queue."
        ) from error
    raise UnreadableMessageError(
        f"The message is {_shown(body)}, expected an event of S3, a pipeline execution, a model package or "
        "an alarm, or the message of a Callback step. Check what sends to the queue: nothing else should."
    )


def _load(text: Any) -> dict[str, Any]:
    try:
        document = parse_json(text)
    except (TypeError, ValueError):
        document = None
    if not isinstance(document, dict):
        raise UnreadableMessageError(
            f"The message is {_shown(text)}, expected a JSON object of an AWS service. Check what "
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
    return _event(known)


def _event(known: Mapping[str, Any]) -> Event:
    """Return an event; what the service did not send is left out of its payload."""
    return Event.from_payload({name: value for name, value in known.items() if value is not None})


def _partition(bucket: str, key: str) -> dict[str, str]:
    if found := _PARTITION.search(key):
        day, hour = found.groups()
    elif found := _MONITORED.search(key):
        *date, hour = found.groups()
        day = "-".join(date)
    else:
        return {}
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
    return _event(known)


def _callback(document: Mapping[str, Any]) -> Event:
    """Read the message of a Callback step; it sends a second one when its execution is stopped."""
    token, arn, status = document["token"], document["pipelineExecutionArn"], document["status"]
    if re.fullmatch("[a-zA-Z0-9]{10}", token) is None:
        raise ValueError(f"token is {token!r}, expected 10 letters and digits")
    return Event.from_payload(
        {
            "kind": CALLBACK,
            "subject": token,
            "event_id": f"{token}#{status}",
            # The messages have no time, and a stop is always the last.
            "order": ["", str(_RANKS[status])],
            "callback_token": token,
            "pipeline_execution_arn": arn,
            "status": status,
            "arguments": dict(document.get("arguments") or {}),
        }
    )


def _model_package(document: Mapping[str, Any]) -> Event:
    detail = document["detail"]
    arn, status, when = detail["ModelPackageArn"], detail.get("ModelApprovalStatus"), _utc(document["time"])
    # SageMaker may report a change more than once.
    changed = _utc(detail.get("LastModifiedTime") or detail.get("CreationTime") or when)
    known = {
        "kind": MODEL_PACKAGE,
        "subject": arn,
        "event_id": f"{arn}#{status}@{changed}",
        "order": [changed, ""],
        "event_time": when,
        "model_package_arn": arn,
        "model_package_group_name": detail.get("ModelPackageGroupName"),
        "model_package_version": detail.get("ModelPackageVersion"),
        "model_package_status": detail.get("ModelPackageStatus"),
        "updated_fields": detail.get("UpdatedModelPackageFields"),
        "approval_status": status,
        "approval_description": detail.get("ApprovalDescription"),
        "creation_time": detail.get("CreationTime"),
    }
    return _event(known)


def _alarm(document: Mapping[str, Any]) -> Event:
    detail = document["detail"]
    (arn, *_), name, state = document["resources"], detail["alarmName"], detail["state"]
    when = _utc(state["timestamp"])
    known = {
        "kind": ALARM,
        "subject": arn,
        "event_id": f"{arn}#{state['value']}@{when}",
        "order": [when, ""],
        "event_time": when,
        "alarm_arn": arn,
        "alarm_name": name,
        "state": state["value"],
        "previous_state": (detail.get("previousState") or {}).get("value"),
        "reason": state.get("reason"),
        **_measured(state.get("reasonData")),
    }
    return _event(known)


def _measured(reason_data: Any) -> dict[str, str]:
    """Return the interval of the values that changed an alarm; nothing where AWS does not tell them.

    It is what an alarm says about itself, so an alarm without it, or with another form of it, has gone off.
    """
    try:
        reason = parse_json(reason_data)
        points = reason["evaluatedDatapoints"]
        times = sorted(_utc(each["timestamp"]) for each in points if "timestamp" in each)
        first, last = datetime.fromisoformat(times[0]), datetime.fromisoformat(times[-1])
        end = last + timedelta(seconds=reason["period"])
    except (IndexError, KeyError, OverflowError, TypeError, ValueError):
        return {}
    return {"interval_start": first.isoformat(), "interval_end": end.isoformat()}


def _utc(text: Any) -> str:
    """Return a time as ISO 8601 in UTC with milliseconds, so that the strings compare like the times."""
    when = datetime.fromisoformat(str(text))
    when = when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    return when.isoformat(timespec="milliseconds")


def _shown(text: Any) -> str:
    shown = repr(text)
    return shown if len(shown) <= 200 else f"{shown[:197]}..."
