"""What all triggers have in common."""

from __future__ import annotations

import asyncio

import pytest

from sagemaker_pipelines.triggers.partitions import SageMakerPartitionsTrigger


@pytest.mark.parametrize("seconds", ["0", "600", "many"])
def test_what_has_happened_already_is_told_once_the_process_of_the_task_has_ended(
    monkeypatch: pytest.MonkeyPatch, seconds: str
) -> None:
    monkeypatch.setenv("AIRFLOW__SAGEMAKER_PIPELINES__SETTLE_SECONDS", seconds)

    async def tell() -> bool:
        trigger = SageMakerPartitionsTrigger(uris=[], waiter_delay=1.0, deadline=0.0)
        told = asyncio.ensure_future(anext(trigger.run()))
        # No network and no thread is needed: some turns of the loop are enough.
        for _ in range(20):
            await asyncio.sleep(0)
        if not told.done():
            told.cancel()
        return told.done()

    assert asyncio.run(tell()) is (seconds == "0")
