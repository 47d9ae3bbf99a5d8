"""Wait for a pipeline execution in the triggerer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent
from asgiref.sync import sync_to_async

from sagemaker_pipelines.hooks.pipeline import SageMakerPipelineHook
from sagemaker_pipelines.hooks.watch import ExecutionWatch


class SageMakerPipelineExecutionTrigger(BaseTrigger):
    """Fire once when a pipeline execution has ended, however, or the deadline has passed.

    The event says what was seen and judges nothing: the task does, with the code of the other modes. Its
    payload is ``{"event": "ended" | "timeout" | "error", "pipeline_execution_arn", "status", "message"}``.

    :param pipeline_execution_arn: the execution.
    :param waiter_delay: the longest time between two looks, seconds.
    :param deadline: when to give up, seconds since the epoch; None waits for as long as it takes.
    :param aws_conn_id: the Airflow connection.
    :param region_name: the region; None takes the connection's.
    :param verify: whether or with which CA bundle to check certificates.
    :param botocore_config: keywords of botocore's Config.
    :param version: the version of these arguments, for waits that outlive an upgrade of this package.
    """

    VERSION = 1

    def __init__(
        self,
        *,
        pipeline_execution_arn: str,
        waiter_delay: float = 60,
        deadline: float | None = None,
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
        version: int = VERSION,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.pipeline_execution_arn = pipeline_execution_arn
        self.waiter_delay = waiter_delay
        self.deadline = deadline
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config
        self.version = version

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments that make an equal trigger."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "pipeline_execution_arn": self.pipeline_execution_arn,
                "waiter_delay": self.waiter_delay,
                "deadline": self.deadline,
                "aws_conn_id": self.aws_conn_id,
                "region_name": self.region_name,
                "verify": self.verify,
                "botocore_config": self.botocore_config,
                "version": self.version,
            },
        )

    def hook(self) -> SageMakerPipelineHook:
        """Return the hook that this trigger asks AWS with."""
        return SageMakerPipelineHook(
            aws_conn_id=self.aws_conn_id,
            region_name=self.region_name,
            verify=self.verify,
            config=self.botocore_config,
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look until the execution has ended."""
        watch = ExecutionWatch(
            self.hook(), self.pipeline_execution_arn, waiter_delay=self.waiter_delay, log=self.log
        )
        while True:
            try:
                status = await sync_to_async(watch.look, thread_sensitive=False)()
            except Exception as error:
                self.log.exception("Cannot watch %s", self.pipeline_execution_arn)
                yield self._event("error", message=f"{type(error).__name__}: {error}")
                return
            if status is not None:
                yield self._event("ended", status=status)
                return
            if self.deadline is not None and time.time() >= self.deadline:
                yield self._event("timeout")
                return
            await asyncio.sleep(self._pause(watch.delay()))

    def _pause(self, delay: float) -> float:
        if self.deadline is None:
            return delay
        return max(0.0, min(delay, self.deadline - time.time()))

    def _event(self, event: str, *, status: str | None = None, message: str | None = None) -> TriggerEvent:
        return TriggerEvent(  # type: ignore[no-untyped-call]
            {
                "event": event,
                "pipeline_execution_arn": self.pipeline_execution_arn,
                "status": status,
                "message": message,
            }
        )
