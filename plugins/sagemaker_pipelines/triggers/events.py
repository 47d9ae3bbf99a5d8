"""Wake a DAG when data arrives or an execution ends: the triggers of Airflow's asset watchers."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import AsyncIterator, Hashable, Sequence
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from sagemaker_pipelines.airflow_internals import SharedStreamProducer
from sagemaker_pipelines.data.events import EXECUTION, S3, Event
from sagemaker_pipelines.data.ledger import EventLedger
from sagemaker_pipelines.hooks.queue import MAX_WAIT_SECONDS, SqsQueueHook
from sagemaker_pipelines.triggers.base import AwsTrigger
from sagemaker_pipelines.triggers.queue import QueueMessage, SqsQueueProducer

UNMATCHED = ("keep", "delete")
# How task/logical_start.py marks the executions of Airflow.
_OWN_DESCRIPTION = "Airflow dag_id="


class SqsEventTrigger(AwsTrigger, BaseEventTrigger):
    """Fire for every new event of one kind that an SQS queue receives.

    Watchers of one queue whose arguments here are equal share one receive loop. It deletes a message only
    after Airflow has stored the events for the Airflow assets of all these watchers.

    :param queue: the queue's URL, or its name in the connection's account and region.
    :param unmatched: what happens to messages that do not match any watcher, such as foreign ones: ``"keep"``
        leaves them to the queue's redrive policy, ``"delete"`` is for a queue with one watcher.
    :param wait_time_seconds: how long a receive waits for the first message, at most 20.
    :param visibility_timeout: seconds until a message that was received but not stored is delivered again,
        after a crash of the triggerer; None uses the queue's timeout.
    :param kwargs: the connection's arguments, see :class:`~sagemaker_pipelines.triggers.base.AwsTrigger`.
    """

    arguments: tuple[str, ...] = ("queue", "unmatched", "wait_time_seconds", "visibility_timeout")

    def __init__(
        self,
        *,
        queue: str,
        unmatched: str = "keep",
        wait_time_seconds: int = MAX_WAIT_SECONDS,
        visibility_timeout: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        _check(queue, unmatched, wait_time_seconds, visibility_timeout)
        self.queue = queue
        self.unmatched = unmatched
        self.wait_time_seconds = wait_time_seconds
        self.visibility_timeout = visibility_timeout
        self._ledger = EventLedger()

    @abstractmethod
    def takes(self, event: Event) -> bool:
        """Return whether the event matches this watcher."""

    def shared_stream_key(self) -> Hashable:
        """Return the key that watchers must have in common to share a receive loop."""
        return "sagemaker_pipelines.sqs", json.dumps(self.shared_arguments(), sort_keys=True)

    def shared_arguments(self) -> dict[str, Any]:
        """Return the arguments that concern the queue, which every subclass has."""
        names = (*SqsEventTrigger.arguments, *self.connection_arguments)
        return {name: getattr(self, name) for name in names}

    @classmethod
    def create_shared_stream_producer(cls, kwargs: dict[str, Any]) -> SharedStreamProducer:
        """Return the queue's side of the watchers; with it, Airflow confirms what it has stored."""
        hook = SqsQueueHook(
            aws_conn_id=kwargs["aws_conn_id"],
            region_name=kwargs["region_name"],
            verify=kwargs["verify"],
            config=kwargs["botocore_config"],
        )
        return SqsQueueProducer(
            hook,
            kwargs["queue"],
            unmatched=kwargs["unmatched"],
            wait_time_seconds=kwargs["wait_time_seconds"],
            visibility_timeout=kwargs["visibility_timeout"],
        )

    async def filter_shared_stream(
        self, shared_stream: AsyncIterator[QueueMessage]
    ) -> AsyncIterator[TriggerEvent]:
        """Yield the new events of this watcher.

        A duplicate of an event that is not stored yet may be dropped: the message with the first event stays
        in the queue until it is stored. If it is never stored, this trigger ends, and its memory with it.
        """
        async for message in shared_stream:
            for event in message.events:
                if not self.takes(event):
                    continue
                message.is_claimed = True
                if not self._ledger.is_new(event):
                    self.log.info(
                        "Dropped because it was delivered before or out of order: %s", event.event_id
                    )
                    continue
                self._ledger.record(event)
                yield TriggerEvent(event.payload)  # type: ignore[no-untyped-call]

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Refuse to run outside an asset watcher, where nothing would confirm what is stored."""
        raise NotImplementedError(
            f"{type(self).__name__} runs outside an asset watcher; expected an AssetWatcher of Airflow 3.3 "
            "or later. Put it into an AssetWatcher; to wait inside a run, use a sensor."
        )
        yield  # type: ignore[unreachable]  # makes it a generator


class S3ObjectCreatedTrigger(SqsEventTrigger):
    """Fire for every object created below a prefix.

    :param uri_prefix: such as ``"s3://bucket/data/train/"``.
    :param uri_suffix: the required end of the URI, such as ``"/_SUCCESS"``; the default accepts every URI.
    :param kwargs: see :class:`SqsEventTrigger`.
    """

    arguments = (*SqsEventTrigger.arguments, "uri_prefix", "uri_suffix")

    def __init__(self, *, uri_prefix: str, uri_suffix: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not uri_prefix.startswith("s3://"):
            raise ValueError(
                f"uri_prefix is {uri_prefix!r}; expected an S3 URI such as 's3://bucket/data/'. Correct it."
            )
        self.uri_prefix = uri_prefix
        self.uri_suffix = uri_suffix

    def takes(self, event: Event) -> bool:
        """Return whether the object is below the prefix."""
        return (
            event.kind == S3
            and event.subject.startswith(self.uri_prefix)
            and event.subject.endswith(self.uri_suffix)
        )


class SageMakerPipelineExecutionEndedTrigger(SqsEventTrigger):
    """Fire for every pipeline execution that reaches one of the given statuses.

    :param pipeline_name: the pipeline's name or ARN; None accepts every pipeline.
    :param statuses: the statuses to fire for.
    :param include_own: whether to fire also for executions that Airflow started. A DAG that starts the same
        pipeline whose end wakes it would then run forever.
    :param kwargs: see :class:`SqsEventTrigger`.
    """

    arguments = (*SqsEventTrigger.arguments, "pipeline_name", "statuses", "include_own")

    def __init__(
        self,
        *,
        pipeline_name: str | None,
        statuses: Sequence[str] = ("Succeeded",),
        include_own: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.pipeline_name = pipeline_name
        self.statuses = list(statuses)
        self.include_own = include_own

    def takes(self, event: Event) -> bool:
        """Return whether it is an execution of the pipeline, in one of the statuses."""
        if event.kind != EXECUTION or event.payload["status"] not in self.statuses:
            return False
        if not self.include_own and event.payload.get("description", "").startswith(_OWN_DESCRIPTION):
            return False
        names = (event.payload["pipeline_name"], event.payload["pipeline_arn"])
        return self.pipeline_name is None or self.pipeline_name in names


def _check(queue: str, unmatched: str, wait_time_seconds: int, visibility_timeout: int | None) -> None:
    if not queue:
        raise ValueError("queue is empty; expected the URL or the name of an SQS queue. Set it.")
    if unmatched not in UNMATCHED:
        raise ValueError(f"unmatched is {unmatched!r}; expected one of {', '.join(UNMATCHED)}. Correct it.")
    if not 0 <= wait_time_seconds <= MAX_WAIT_SECONDS:
        raise ValueError(
            f"wait_time_seconds is {wait_time_seconds}; expected 0 to {MAX_WAIT_SECONDS}. Correct it."
        )
    if visibility_timeout is not None and not 5 <= visibility_timeout <= 43_200:
        raise ValueError(
            f"visibility_timeout is {visibility_timeout}; expected 5 to 43200 seconds, because Airflow needs "
            "some seconds to store an event. Correct it."
        )
