"""Fill an empty account: bucket, role, notification topic with a queue, and the abalone data.

Everything may be there already: what is right is left alone. The local runtime keeps S3 objects across a
restart and forgets topics, queues and roles, so this runs at every start of a stack:
``python -m stack.bootstrap`` where a local runtime runs already.
"""

from __future__ import annotations

import hashlib
import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from stack.exceptions import MissingDataError
from stack.settings import QUEUE_NAME, ROOT, TOPIC_NAME, StackSettings

DATA_FILE = ROOT / "data" / "abalone" / "abalone.csv"
HOLDOUT_EVERY = 10
FIRST_PARTITION = date(2026, 1, 1)
PARTITIONS = 30
_TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "sagemaker.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}


def client(settings: StackSettings, service: str) -> Any:
    """Return a boto3 client of the stack's endpoint."""
    return boto3.client(
        service,
        region_name=settings.region,
        endpoint_url=settings.runtime_url,
        aws_access_key_id="local",
        aws_secret_access_key="local",  # noqa: S106 - any key is accepted on loopback
        config=Config(s3={"addressing_style": "path"}, connect_timeout=5, read_timeout=30),
    )


def bootstrap(settings: StackSettings, *, data_file: Path = DATA_FILE) -> list[str]:
    """Create what is missing in the stack's account.

    :param settings: the stack, whose local runtime must be up.
    :param data_file: labelled rows, CSV without a header.
    :return: the S3 URIs that were uploaded now; empty when all of them were there.
    :raises MissingDataError: the data file is not there.
    """
    create_role(settings)
    create_notifications(settings)
    return upload(settings, split_data(data_file))


def split_data(data_file: Path) -> dict[str, bytes]:
    """Return the objects below ``<pipeline>/data/``: training rows, whole and by day, and the hold-out.

    Every tenth row is held out and loses its label, the last column; training never sees it.

    :raises MissingDataError: the data file is not there.
    """
    try:
        rows = data_file.read_text().splitlines()
    except FileNotFoundError as error:
        raise MissingDataError(
            f"{data_file} is missing, and the stack uploads it to S3. It is part of the repository: "
            "`git checkout data` brings it back."
        ) from error
    held_out = [row.rpartition(",")[0] for row in rows[HOLDOUT_EVERY - 1 :: HOLDOUT_EVERY]]
    train = [row for index, row in enumerate(rows) if index % HOLDOUT_EVERY != HOLDOUT_EVERY - 1]
    objects = {"train/abalone.csv": _csv(train), "holdout/holdout.csv": _csv(held_out)}
    for day in range(PARTITIONS):
        part = train[day * len(train) // PARTITIONS : (day + 1) * len(train) // PARTITIONS]
        objects[f"train/dt={FIRST_PARTITION + timedelta(days=day)}/abalone.csv"] = _csv(part)
    return objects


def upload(settings: StackSettings, objects: dict[str, bytes], *, pipeline: str = "abalone") -> list[str]:
    """Upload the objects that are missing or differ, creating the bucket if needed; return their URIs."""
    s3 = client(settings, "s3")
    _create_bucket(s3, settings)
    prefix = f"{settings.name_prefix}{pipeline}/data/"
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=settings.bucket, Prefix=prefix)
    present = {entry["Key"]: entry["ETag"].strip('"') for page in pages for entry in page.get("Contents", [])}
    uploaded = []
    for name, body in objects.items():
        # The ETag of an object that was put in one piece is its MD5.
        if present.get(prefix + name) != hashlib.md5(body, usedforsecurity=False).hexdigest():
            s3.put_object(Bucket=settings.bucket, Key=prefix + name, Body=body)
            uploaded.append(f"s3://{settings.bucket}/{prefix}{name}")
    return uploaded


def create_role(settings: StackSettings) -> None:
    """Create the execution role unless it is there."""
    iam = client(settings, "iam")
    name = settings.role_arn.rpartition("/")[2]
    try:
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(_TRUST))
    except ClientError as error:
        if error.response["Error"]["Code"] != "EntityAlreadyExists":
            raise


def create_notifications(settings: StackSettings) -> str:
    """Create the topic, a queue that receives its messages, and return the queue's URL."""
    sns, sqs = client(settings, "sns"), client(settings, "sqs")
    topic = sns.create_topic(Name=TOPIC_NAME)["TopicArn"]
    queue: str = sqs.create_queue(QueueName=QUEUE_NAME)["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
    # Subscribing the same queue again answers with the subscription that exists.
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=attributes["QueueArn"])
    return queue


def _create_bucket(s3: Any, settings: StackSettings) -> None:
    constraint = {"LocationConstraint": settings.region}
    extra = {} if settings.region == "us-east-1" else {"CreateBucketConfiguration": constraint}
    try:
        s3.create_bucket(Bucket=settings.bucket, **extra)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
            raise


def _csv(rows: list[str]) -> bytes:
    return "".join(f"{row}\n" for row in rows).encode()


if __name__ == "__main__":
    for uploaded_uri in bootstrap(StackSettings.from_environment()):
        print(uploaded_uri)
