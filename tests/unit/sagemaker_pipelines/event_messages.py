"""Messages as AWS documents them."""

from __future__ import annotations

import json
from typing import Any

PIPELINE = "arn:aws:sagemaker:us-east-1:123456789012:pipeline/abalone"
EXECUTION = f"{PIPELINE}/execution/abc123"
PACKAGE = "arn:aws:sagemaker:us-east-1:123456789012:model-package/abalone/2"


def s3_notification(
    key: str = "data/train/dt%3D2026-01-02/part+1.csv",
    *,
    sequencer: str | None = "0055AED6DCD90281E5",
    name: str = "ObjectCreated:Put",
    time: str = "2026-01-03T00:10:00.000Z",
    bucket: str = "ml-data",
) -> str:
    item = {"key": key, "size": 1024, "eTag": "d41d8cd98f00b204e9800998ecf8427e"}
    if sequencer:
        item["sequencer"] = sequencer
    record = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "us-east-1",
        "eventTime": time,
        "eventName": name,
        "s3": {"s3SchemaVersion": "1.0", "bucket": {"name": bucket}, "object": item},
    }
    return json.dumps({"Records": [record]})


def s3_on_eventbridge(key: str = "data/train/dt=2026-01-02/part 1.csv") -> str:
    item = {"key": key, "size": 5, "etag": "b1946ac9", "sequencer": "617f08299329d189"}
    return json.dumps(
        {
            "version": "0",
            "id": "17793124-05d4-b198-2fde-7ededc63b103",
            "detail-type": "Object Created",
            "source": "aws.s3",
            "time": "2026-01-03T00:10:00Z",
            "detail": {"version": "0", "bucket": {"name": "ml-data"}, "object": item},
        }
    )


def execution_changed(
    status: str = "Succeeded",
    *,
    time: str = "2026-01-03T00:10:00Z",
    end: str | None = "2026-01-03T00:09:59Z",
    arn: str = EXECUTION,
    description: str = "nightly",
) -> str:
    detail: dict[str, Any] = {
        "pipelineArn": arn.partition("/execution/")[0],
        "pipelineExecutionArn": arn,
        "pipelineExecutionDescription": description,
        "currentPipelineExecutionStatus": status,
        "previousPipelineExecutionStatus": "Executing",
        "executionStartTime": "2026-01-03T00:00:00Z",
    }
    if end:
        detail["executionEndTime"] = end
    return json.dumps(
        {
            "version": "0",
            "detail-type": "SageMaker Model Building Pipeline Execution Status Change",
            "source": "aws.sagemaker",
            "time": time,
            "detail": detail,
        }
    )


def package_changed(
    status: str = "Approved",
    *,
    modified: str = "2026-01-03T00:09:59Z",
    time: str = "2026-01-03T00:10:00Z",
    arn: str = PACKAGE,
    **members: Any,
) -> str:
    _, group, version = arn.rsplit("/", 2)
    detail = {
        "ModelPackageGroupName": group,
        "ModelPackageVersion": int(version),
        "ModelPackageArn": arn,
        "CreationTime": "2026-01-03T00:00:00Z",
        "ModelPackageStatus": "Completed",
        "ModelPackageStatusDetails": {"ValidationStatuses": []},
        "CertifyForMarketplace": False,
        "ModelApprovalStatus": status,
        "LastModifiedTime": modified,
        **members,
    }
    return json.dumps(
        {
            "version": "0",
            "id": "844e2571-85d4-695f-b930-0153b71dcb42",
            "detail-type": "SageMaker Model Package State Change",
            "source": "aws.sagemaker",
            "account": "123456789012",
            "time": time,
            "region": "us-east-1",
            "resources": [arn],
            "detail": detail,
        }
    )


def alarm_changed(state: str = "ALARM", *, name: str = "abalone-drift", reason_data: object = None) -> str:
    measured = {
        "version": "1.0",
        "statistic": "Maximum",
        "period": 3600,
        "threshold": 0.0,
        "evaluatedDatapoints": [
            {"timestamp": "2026-01-03T05:00:00.000+0000", "value": 1.0},
            {"timestamp": "2026-01-03T04:00:00.000+0000", "value": 2.0},
        ],
    }
    arn = f"arn:aws:cloudwatch:us-east-1:123456789012:alarm:{name}"
    return json.dumps(
        {
            "version": "0",
            "id": "c4c1c1c9-6542-e61b-6ef0-8c4d36933a92",
            "detail-type": "CloudWatch Alarm State Change",
            "source": "aws.cloudwatch",
            "account": "123456789012",
            "time": "2026-01-03T06:04:40Z",
            "region": "us-east-1",
            "resources": [arn],
            "detail": {
                "alarmName": name,
                "previousState": {"value": "OK", "timestamp": "2026-01-03T03:00:00.000+0000"},
                "state": {
                    "value": state,
                    "reason": "Threshold Crossed",
                    "reasonData": json.dumps(measured) if reason_data is None else reason_data,
                    "timestamp": "2026-01-03T06:04:40.985+0000",
                },
            },
        }
    )


def through_sns(message: str) -> str:
    return json.dumps({"Type": "Notification", "MessageId": "1", "TopicArn": "arn", "Message": message})


S3_TEST = json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "ml-data"})


def callback_message(status: str = "Executing", *, token: str = "abcDEF1234", **more: Any) -> str:
    message = {"token": token, "pipelineExecutionArn": EXECUTION, "status": status}
    return json.dumps({**message, "arguments": {"Train": "s3://ml-data/train"}, **more})
