"""Read the notifications that the topic has sent."""

from __future__ import annotations

import json
from typing import Any

from stack.settings import QUEUE_NAME, StackSettings


def receive(settings: StackSettings, queue_name: str = QUEUE_NAME) -> list[dict[str, Any]]:
    """Remove all messages from a queue that is subscribed to the topic, and return them, oldest first.

    :param settings: the stack, whose local runtime must be up.
    :param queue_name: the queue.
    :return: SNS envelopes, with ``Subject``, ``Message`` and ``MessageAttributes``.
    """
    sqs = settings.target.boto3_client("sqs")
    queue = sqs.get_queue_url(QueueName=queue_name)["QueueUrl"]
    found: list[dict[str, Any]] = []
    while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            found.append(json.loads(message["Body"]))
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    return found
