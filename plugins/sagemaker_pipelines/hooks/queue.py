"""Receive and delete messages of an SQS queue, without a thread per queue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from airflow.providers.amazon.aws.hooks.sqs import SqsHook

from sagemaker_pipelines.hooks.connection import CheckedConnectionMixin

# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html
MAX_BATCH = 10
MAX_WAIT_SECONDS = 20
_DELETE_ATTEMPTS = 3


class SqsQueueHook(CheckedConnectionMixin, SqsHook):
    """Call SQS for one queue.

    It accepts the arguments of the provider's
    :class:`~airflow.providers.amazon.aws.hooks.sqs.SqsHook`, which are those of every AWS hook.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)

    @asynccontextmanager
    async def queue(self, name_or_url: str) -> AsyncIterator[SqsQueue]:
        """Open a queue.

        :param name_or_url: its URL, or its name in the connection's account and region.
        """
        async with await self.get_async_conn() as client:  # type: ignore[no-untyped-call]
            url = name_or_url
            if "/" not in name_or_url:
                url = (await client.get_queue_url(QueueName=name_or_url))["QueueUrl"]
            yield SqsQueue(client, url)


class SqsQueue:
    """An open queue.

    :param client: aiobotocore's client of SQS.
    :param url: the queue's URL.
    """

    def __init__(self, client: Any, url: str) -> None:
        self._client = client
        self.url = url

    async def receive(
        self, *, wait_time_seconds: int, visibility_timeout: int | None
    ) -> Sequence[dict[str, Any]]:
        """Return at most ten messages, as soon as there is one.

        :param wait_time_seconds: how long to wait for the first.
        :param visibility_timeout: for how long nobody else receives them; None uses the queue's timeout.
        """
        options = {} if visibility_timeout is None else {"VisibilityTimeout": visibility_timeout}
        answer = await self._client.receive_message(
            QueueUrl=self.url,
            MaxNumberOfMessages=MAX_BATCH,
            WaitTimeSeconds=wait_time_seconds,
            MessageSystemAttributeNames=["ApproximateReceiveCount"],
            **options,
        )
        messages: Sequence[dict[str, Any]] = answer.get("Messages", [])
        return messages

    async def delete(self, receipt_handles: Sequence[str]) -> Sequence[str]:
        """Delete messages, and return SQS's reasons for those that it kept after several attempts.

        :param receipt_handles: the receipt handles from the last time that the messages were received.
        """
        left = list(receipt_handles)
        problems: list[str] = []
        for attempt in range(_DELETE_ATTEMPTS):
            await asyncio.sleep(attempt)
            problems, kept = [], list[str]()
            for start in range(0, len(left), MAX_BATCH):
                batch = left[start : start + MAX_BATCH]
                entries = [{"Id": str(i), "ReceiptHandle": handle} for i, handle in enumerate(batch)]
                answer = await self._client.delete_message_batch(QueueUrl=self.url, Entries=entries)
                for failed in answer.get("Failed", []):
                    kept.append(batch[int(failed["Id"])])
                    problems.append(f"{failed['Code']}: {failed.get('Message', '')}")
            if not kept:
                return []
            left = kept
        return problems
