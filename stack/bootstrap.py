"""Fill an empty account: bucket, notification topic with a queue, and the abalone data.

It leaves alone what already exists and is right. The local runtime keeps S3 objects across a restart, but
forgets topics and queues, so this runs at every start of a stack. ``python -m stack.bootstrap`` runs
it for a local runtime that is already up.
"""

from __future__ import annotations

import hashlib
from datetime import date, timedelta
from pathlib import Path

from sagemaker_local_runtime.target import create_bucket
from stack.exceptions import MissingDataError
from stack.settings import QUEUE_NAME, ROOT, TOPIC_NAME, StackSettings

DATA_FILE = ROOT / "data" / "abalone" / "abalone.csv"
HOLDOUT_EVERY = 10
FIRST_PARTITION = date(2026, 1, 1)
PARTITIONS = 30


def bootstrap(settings: StackSettings, *, data_file: Path = DATA_FILE) -> list[str]:
    """Create what is missing in the stack's account.

    :param settings: the stack, whose local runtime must be up.
    :param data_file: labelled rows, CSV without a header.
    :return: the S3 URIs that were uploaded; empty if all of them were already there.
    :raises MissingDataError: the data file does not exist.
    """
    create_notifications(settings)
    return upload(settings, split_data(data_file))


def split_data(data_file: Path) -> dict[str, bytes]:
    """Return the objects below ``<pipeline>/data/``: all training rows, the same by day, and the hold-out.

    Every tenth row is held out: without its label, the last column, to be scored, and with it, to compare
    models. Training never sees these rows.

    :raises MissingDataError: the data file does not exist.
    """
    try:
        rows = data_file.read_text().splitlines()
    except FileNotFoundError as error:
        raise MissingDataError(
            f"{data_file} is missing, and the stack needs it to upload its rows to S3. It is part of the "
            "repository: restore it with `git checkout data`."
        ) from error
    labelled = rows[HOLDOUT_EVERY - 1 :: HOLDOUT_EVERY]
    held_out = [row.rpartition(",")[0] for row in labelled]
    train = [row for index, row in enumerate(rows) if index % HOLDOUT_EVERY != HOLDOUT_EVERY - 1]
    objects = {
        "train/abalone.csv": _csv(train),
        "holdout/holdout.csv": _csv(held_out),
        "labelled/holdout.csv": _csv(labelled),
    }
    for day in range(PARTITIONS):
        part = train[day * len(train) // PARTITIONS : (day + 1) * len(train) // PARTITIONS]
        objects[f"train/dt={FIRST_PARTITION + timedelta(days=day)}/abalone.csv"] = _csv(part)
    return objects


def upload(settings: StackSettings, objects: dict[str, bytes], *, pipeline: str = "abalone") -> list[str]:
    """Upload the objects that are missing or differ, creating the bucket if needed; return their URIs."""
    s3 = settings.target.boto3_client("s3")
    create_bucket(s3, settings.bucket, settings.region)
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


def create_notifications(settings: StackSettings, queue_name: str = QUEUE_NAME) -> str:
    """Create the topic and a queue that receives its messages; return the URL of the queue."""
    sns, sqs = settings.target.boto3_client("sns"), settings.target.boto3_client("sqs")
    topic = sns.create_topic(Name=TOPIC_NAME)["TopicArn"]
    queue: str = sqs.create_queue(QueueName=queue_name)["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
    # Subscribing the same queue again returns the existing subscription.
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=attributes["QueueArn"])
    return queue


def _csv(rows: list[str]) -> bytes:
    return "".join(f"{row}\n" for row in rows).encode()


if __name__ == "__main__":
    for uploaded_uri in bootstrap(StackSettings.from_environment()):
        print(uploaded_uri)
