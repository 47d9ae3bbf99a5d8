"""Wait for partitions in the triggerer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from sagemaker_pipelines.aws.pacing import Patience, delay_after
from sagemaker_pipelines.hooks.pipeline import POLLING_CONFIG, SageMakerPipelineHook
from sagemaker_pipelines.triggers.threads import LOOK, in_thread


class SageMakerPartitionsTrigger(BaseTrigger):
    """Fire when every URI holds data or the deadline has passed.

    The payload is ``{"event": "ready" | "timeout" | "error", "missing": [...], "message"}``.

    :param uris: S3 URIs of the partitions.
    :param waiter_delay: the longest time between two polls, seconds.
    :param deadline: when to give up, seconds since the epoch.
    :param aws_conn_id: the Airflow connection.
    :param region_name: the region; None uses the connection's.
    :param verify: whether or with which CA bundle to check certificates.
    :param botocore_config: keywords of botocore's Config.
    :param version: the version of these arguments, for waits that outlive an upgrade of this package.
    """

    VERSION = 1

    def __init__(
        self,
        *,
        uris: Sequence[str],
        waiter_delay: float,
        deadline: float,
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
        version: int = VERSION,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.uris = list(uris)
        self.waiter_delay = waiter_delay
        self.deadline = deadline
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config
        self.version = version

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments that create an equal trigger."""
        names = (
            "uris",
            "waiter_delay",
            "deadline",
            "aws_conn_id",
            "region_name",
            "verify",
            "botocore_config",
        )
        arguments = {name: getattr(self, name) for name in (*names, "version")}
        return f"{type(self).__module__}.{type(self).__qualname__}", arguments

    def hook(self) -> SageMakerPipelineHook:
        """Return the hook with which this trigger calls AWS."""
        hook = SageMakerPipelineHook(
            aws_conn_id=self.aws_conn_id,
            region_name=self.region_name,
            verify=self.verify,
            config=self.botocore_config,
        )
        hook.default_config = POLLING_CONFIG
        return hook

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll until nothing is missing any more."""
        hook, missing, began, patience = self.hook(), self.uris, time.time(), Patience()
        while missing:
            try:
                missing = await in_thread(
                    partial(_missing, hook, self.uris),
                    purpose=LOOK,
                    connection=(self.aws_conn_id, self.region_name),
                )
                patience.renew()
            except Exception as error:
                try:
                    patience.endure(error)
                except Exception as final:
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
