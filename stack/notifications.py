"""Read the notifications that the topic has sent."""

from __future__ import annotations

import json
from typing import Any

from stack.settings import QUEUE_NAME, StackSettings


def receive(settings: StackSettings) -> list[dict[str, Any]]:
    """Remove all messages from the queue that is subscribed to the topic, and return them, oldest first.

    :param settings: the stack, whose local runtime must be up.
    :return: SNS envelopes, with ``Subject``, ``Message`` and ``MessageAttributes``.
    """
    sqs = settings.target.boto3_client("sqs")
    queue = sqs.get_queue_url(QueueName=QUEUE_NAME)["QueueUrl"]
    found: list[dict[str, Any]] = []
    while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            found.append(json.loads(message["Body"]))
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    return found
