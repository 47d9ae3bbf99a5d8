"""Wait for partitions in the triggerer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from functools import partial
from typing import Any

from airflow.triggers.base import TriggerEvent

from sagemaker_pipelines.aws.pacing import Patience, delay_after
from sagemaker_pipelines.hooks.pipeline import SageMakerPipelineHook
from sagemaker_pipelines.triggers.base import WorkerTrigger
from sagemaker_pipelines.triggers.threads import LOOK, in_thread


class SageMakerPartitionsTrigger(WorkerTrigger):
    """Fire when every URI holds data or the deadline has passed.

    The payload is ``{"event": "ready" | "timeout" | "error", "missing": [...], "message"}``.

    :param uris: S3 URIs of the partitions.
    :param waiter_delay: the longest time between two polls, seconds.
    :param deadline: when to give up, seconds since the epoch.
    :param version: the version of these arguments, for waits that outlive an upgrade of this package.
    :param kwargs: the connection's arguments, see :class:`~sagemaker_pipelines.triggers.base.AwsTrigger`.
    """

    VERSION = 1
    arguments = ("uris", "waiter_delay", "deadline", "version")

    def __init__(
        self,
        *,
        uris: Sequence[str],
        waiter_delay: float,
        deadline: float,
        version: int = VERSION,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.uris = list(uris)
        self.waiter_delay = waiter_delay
        self.deadline = deadline
        self.version = version

    async def watch(self) -> AsyncGenerator[TriggerEvent, None]:
        """Poll until nothing is missing any more."""
        hook, missing, began, patience = self.hook(), self.uris, time.time(), Patience()
        while missing:
            try:
                missing = await in_thread(
                    partial(_missing, hook, self.uris),
                    purpose=LOOK,
                    connection=self.connection,
                )
                patience.renew()
            except Exception as error:
                try:
                    patience.endure(error)
                except Exception as final:
                    # Whatever it is, the trigger tells its task.
                    yield self._event("error", missing, f"{type(final).__name__}: {final}")
                    return
                self.log.warning("S3 did not answer; retrying: %s", error)
                hook = self.hook()
            if missing:
                if time.time() >= self.deadline:
                    yield self._event("timeout", missing)
                    return
                # Short at first, for data that are only a little late.
                delay = delay_after(time.time() - began, self.waiter_delay)
                await asyncio.sleep(max(0.0, min(delay, self.deadline - time.time())))
        yield self._event("ready", [])

    def _event(self, event: str, missing: Sequence[str], message: str | None = None) -> TriggerEvent:
        return TriggerEvent({"event": event, "missing": list(missing), "message": message})  # type: ignore[no-untyped-call]


def _missing(hook: SageMakerPipelineHook, uris: Sequence[str]) -> list[str]:
    return [uri for uri in uris if not hook.client.has_data(uri)]
