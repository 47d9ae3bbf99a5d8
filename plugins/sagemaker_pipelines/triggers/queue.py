"""One receive loop per queue, which deletes a message only after its events are stored.

Airflow's triggerer (airflow/triggers/shared_stream.py, 3.3) hands every message to all watchers of the
queue, waits until the events that they made from it are in its database, and then calls :meth:`advance`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from sagemaker_pipelines.airflow_internals import AdvanceItem, SharedStreamProducer
from sagemaker_pipelines.data.events import Event
from sagemaker_pipelines.data.messages import parse_message
from sagemaker_pipelines.exceptions import UnreadableMessageError
from sagemaker_pipelines.hooks.queue import SqsQueue, SqsQueueHook

# Airflow confirms what it has stored about once a second.
MAX_OUTSTANDING = 100
# After a restart, the watchers of a queue start one by one, and a message only reaches those that are there.
GATHER_SECONDS = 2.0
_MAX_BACKOFF_SECONDS = 60.0
_FULL_PAUSE_SECONDS = 0.2

log = logging.getLogger(__name__)


@dataclass
class QueueMessage:
    """A received message that is not deleted yet.

    :param message_id: SQS's id, the same for all its deliveries.
    :param receipt_handle: the receipt handle of its last delivery.
    :param events: the events in it; empty if it does not contain any.
    :param is_claimed: whether one of its events matches a watcher, or is a known duplicate there.
    :param is_noise: whether it is known to be irrelevant for every watcher.
    """

    message_id: str
    receipt_handle: str
    events: list[Event] = field(default_factory=list)
    is_claimed: bool = False
    is_noise: bool = False


class SqsQueueProducer(SharedStreamProducer):
    """The broker's side of the watchers of one queue.

    :param hook: the hook that calls AWS.
    :param queue: the queue's URL or name.
    :param unmatched: what to do with messages that do not match any watcher: ``"keep"`` or ``"delete"``.
    :param wait_time_seconds: how long a receive waits for the first message.
    :param visibility_timeout: for how long nobody else receives a message; None uses the queue's timeout.
    """

    def __init__(
        self,
        hook: SqsQueueHook,
        queue: str,
        *,
        unmatched: str,
        wait_time_seconds: int,
        visibility_timeout: int | None,
    ) -> None:
        self._hook = hook
        self._name = queue
        self._unmatched = unmatched
        self._wait_time_seconds = wait_time_seconds
        self._visibility_timeout = visibility_timeout
        self._outstanding: dict[str, QueueMessage] = {}
        self._stack = AsyncExitStack()
        self._queue: SqsQueue | None = None

    async def open_stream(self) -> AsyncIterator[tuple[QueueMessage, QueueMessage]]:
        """Yield messages forever; a fault of AWS or of the connection does not end it."""
        await asyncio.sleep(GATHER_SECONDS)
        faults = 0
        while True:
            try:
                received = await self._receive()
            except Exception as error:
                faults += 1
                pause = min(_MAX_BACKOFF_SECONDS, 2.0**faults)
                log.warning("Cannot receive from %s; retrying in %.0f s: %s", self._name, pause, error)
                await self._stack.aclose()
                self._queue = None
                await asyncio.sleep(pause)
                continue
            faults = 0
            for message in received:
                yield message, message

    async def _receive(self) -> list[QueueMessage]:
        while len(self._outstanding) >= MAX_OUTSTANDING:
            await asyncio.sleep(_FULL_PAUSE_SECONDS)
        if self._queue is None:
            self._queue = await self._stack.enter_async_context(self._hook.queue(self._name))
        received = await self._queue.receive(
            wait_time_seconds=self._wait_time_seconds, visibility_timeout=self._visibility_timeout
        )
        fresh = [message for raw in received if (message := self._take(raw)) is not None]
        self._outstanding |= {message.message_id: message for message in fresh}
        return fresh

    def _take(self, raw: dict[str, Any]) -> QueueMessage | None:
        message = QueueMessage(message_id=raw["MessageId"], receipt_handle=raw["ReceiptHandle"])
        if known := self._outstanding.get(message.message_id):
            # Its events are about to be stored. If it were handed out again, it would look like a duplicate
            # and be deleted, possibly before its events are stored.
            known.receipt_handle = message.receipt_handle
            return None
        try:
            message.events = parse_message(raw["Body"])
            message.is_noise = not message.events
        except UnreadableMessageError as error:
            count = raw.get("Attributes", {}).get("ApproximateReceiveCount", "?")
            log.warning("Message %s of %s, receive %s: %s", message.message_id, self._name, count, error)
        return message

    async def advance(self, batch: Sequence[AdvanceItem]) -> None:
        """Delete the messages that all watchers are done with.

        A message that cannot be deleted is delivered again, and then recognised as a duplicate. Nothing is
        raised here, because that would end the stream for all watchers.
        """
        done = []
        for payload, outcome in batch:
            message: QueueMessage = payload
            self._outstanding.pop(message.message_id, None)
            if not outcome.is_clean:
                log.warning(
                    "Message %s of %s stays in the queue, because Airflow stored its events for only %d of "
                    "%d watchers; it is delivered again after its visibility timeout",
                    message.message_id,
                    self._name,
                    outcome.acked,
                    outcome.acked + outcome.failed + outcome.rejected,
                )
            elif message.is_claimed or message.is_noise or self._unmatched == "delete":
                done.append(message.receipt_handle)
            else:
                log.info("Message %s of %s matches no watcher here; kept", message.message_id, self._name)
        await self._delete(done)

    async def _delete(self, receipt_handles: Sequence[str]) -> None:
        if not receipt_handles:
            return
        problems: Sequence[str] = ["the connection to the queue is lost"]
        try:
            if self._queue is not None:
                problems = await self._queue.delete(receipt_handles)
        except Exception as error:
            problems = [str(error)]
        if problems:
            log.warning(
                "%d messages of %s are not deleted and will be delivered again as duplicates: %s",
                len(problems),
                self._name,
                problems[0],
            )

    async def aclose(self) -> None:
        """Close the connection."""
        await self._stack.aclose()
