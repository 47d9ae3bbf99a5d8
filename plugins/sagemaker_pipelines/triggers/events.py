"""Wake a DAG when data arrives, an execution ends or a model is approved: triggers of asset watchers."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import AsyncIterator, Hashable, Sequence
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from sagemaker_pipelines.airflow_internals import SharedStreamProducer
from sagemaker_pipelines.data.events import ALARM, CALLBACK, EXECUTION, MODEL_PACKAGE, S3, Event
from sagemaker_pipelines.data.ledger import EventLedger
from sagemaker_pipelines.hooks.queue import MAX_WAIT_SECONDS, SqsQueueHook
from sagemaker_pipelines.reading import parse_json
from sagemaker_pipelines.states import APPROVAL_STATUSES, APPROVED
from sagemaker_pipelines.triggers.base import AwsTrigger
from sagemaker_pipelines.triggers.queue import QueueMessage, SqsQueueProducer
from sagemaker_pipelines.triggers.threads import LOOK, in_thread

UNMATCHED = ("keep", "delete")
# The report that Model Monitor writes if the data violate a constraint.
# https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-interpreting-violations.html
VIOLATIONS = "/constraint_violations.json"
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

    async def confirms(self, event: Event) -> bool:
        """Return whether an event that it takes is one to fire for, where only its object can tell."""
        return True

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
                if await self.confirms(event):
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


class SageMakerCallbackMessageTrigger(SqsEventTrigger):
    """Fire for every message of a Callback step: when it begins to wait, and when it is stopped."""

    def takes(self, event: Event) -> bool:
        """Return whether it is such a message."""
        return event.kind == CALLBACK


class SageMakerModelPackageTrigger(SqsEventTrigger):
    """Fire for every model package of a group that reaches one of the given approval statuses.

    :param model_package_group_name: the group.
    :param approval_statuses: the ModelApprovalStatus values to fire for.
    :param kwargs: see :class:`SqsEventTrigger`.
    """

    arguments = (*SqsEventTrigger.arguments, "model_package_group_name", "approval_statuses")

    def __init__(
        self,
        *,
        model_package_group_name: str,
        approval_statuses: Sequence[str] = (APPROVED,),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if unknown := sorted({*approval_statuses} - {*APPROVAL_STATUSES}):
            raise ValueError(
                f"approval_statuses has {unknown[0]!r}; expected {', '.join(APPROVAL_STATUSES)}. Correct it."
            )
        self.model_package_group_name = model_package_group_name
        self.approval_statuses = list(approval_statuses)

    def takes(self, event: Event) -> bool:
        """Return whether it is a package of the group that has got one of the statuses."""
        return (
            event.kind == MODEL_PACKAGE
            and event.payload.get("model_package_group_name") == self.model_package_group_name
            and event.payload.get("approval_status") in self.approval_statuses
            and event.changes_approval
        )


class SageMakerModelMonitorTrigger(SqsEventTrigger):
    """Fire for every report that has violations, and whenever an alarm goes off.

    The connection reads the reports.

    :param reports: the S3 prefix below which a monitoring schedule writes its reports; None for none.
    :param alarm_name: the CloudWatch alarm on the schedule's metrics; None for none.
    :param kwargs: see :class:`SqsEventTrigger`.
    """

    arguments = (*SqsEventTrigger.arguments, "reports", "alarm_name")

    def __init__(self, *, reports: str | None = None, alarm_name: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not reports and not alarm_name:
            raise ValueError(
                "Neither reports nor alarm_name is set; expected the S3 prefix of Model Monitor's reports, "
                "the name of a CloudWatch alarm, or both. Set one."
            )
        if reports and not reports.startswith("s3://"):
            raise ValueError(f"reports is {reports!r}; expected an S3 URI such as 's3://bucket/reports/'.")
        self.reports = reports
        self.alarm_name = alarm_name

    def takes(self, event: Event) -> bool:
        """Return whether it is such a report, or the alarm in the state ALARM."""
        if event.kind == ALARM:
            return (event.payload["alarm_name"], event.payload["state"]) == (self.alarm_name, "ALARM")
        if event.kind != S3 or self.reports is None:
            return False
        return event.subject.startswith(self.reports) and event.subject.endswith(VIOLATIONS)

    async def confirms(self, event: Event) -> bool:
        """Return whether a report has violations: Model Monitor also writes one that has none.

        What cannot be read counts as a violation, because a drift that is missed costs more than a look.
        """
        try:
            if event.kind != S3 or await in_thread(
                lambda: parse_json(self.hook().client.read_object(event.subject))["violations"],
                purpose=LOOK,
                connection=self.connection,
            ):
                return True
        except Exception as error:
            # Whatever is wrong with the report, a person should look at it.
            self.log.warning("%s cannot be read, and counts as a violation: %s", event.subject, error)
            return True
        self.log.info("Dropped because it reports no violation: %s", event.subject)
        return False


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
