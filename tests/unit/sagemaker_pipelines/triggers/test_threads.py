"""Endpoints that hang, and the waits and kills of other connections."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from sagemaker_pipelines.hooks.pipeline import POLLING_CONFIG, SageMakerPipelineHook
from sagemaker_pipelines.triggers.partitions import SageMakerPartitionsTrigger
from sagemaker_pipelines.triggers.pipeline import SageMakerPipelineExecutionTrigger
from tests.unit.sagemaker_pipelines.triggers.test_poller import Account, until, waits
from tests.waiting import GENEROUS_SECONDS


class Hanging:
    """An endpoint that takes connections and never answers.

    :ivar asked: how many requests have arrived.
    """

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._connections: list[socket.socket] = []
        self.asked = 0
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        """Hang up, so that the threads that wait for an answer go on."""
        self._listener.shutdown(socket.SHUT_RDWR)
        for connection in self._connections:
            connection.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            connection.recv(65536)
            self.asked += 1


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Hanging]]:
    """Endpoints that hang, each of a connection of its own: ``aws_hangs_0`` and so on."""
    with ExitStack() as stack:
        endpoints = []
        for number in range(3):
            endpoint = Hanging(stack.enter_context(socket.create_server(("127.0.0.1", 0))))
            stack.callback(endpoint.close)
            endpoints.append(endpoint)
            extra = {"region_name": "us-east-1", "endpoint_url": endpoint.url}
            connection = {"conn_type": "aws", "login": "test", "password": "test", "extra": extra}
            monkeypatch.setenv(f"AIRFLOW_CONN_AWS_HANGS_{number}", json.dumps(connection))
        yield endpoints


def test_endpoints_that_hang_keep_no_other_wait_and_no_kill_waiting(
    hanging: list[Hanging], monkeypatch: pytest.MonkeyPatch
) -> None:
    healthy = Account(3)

    async def answer_no() -> bool:
        return False

    async def first(trigger: SageMakerPipelineExecutionTrigger | SageMakerPartitionsTrigger) -> None:
        async for _ in trigger.run():
            return

    async def scenario() -> list[str]:
        # As many threads as the event loop would have on a machine without cores.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        stuck = [
            asyncio.ensure_future(
                first(
                    SageMakerPipelineExecutionTrigger(
                        pipeline_execution_arn=healthy.arns[0], aws_conn_id=f"aws_hangs_{number}"
                    )
                )
            )
            for number in range(2)
        ]
        data = SageMakerPartitionsTrigger(
            uris=["s3://bucket/data/"], waiter_delay=1, deadline=2e9, aws_conn_id="aws_hangs_2"
        )
        stuck.append(asyncio.ensure_future(first(data)))
        await until(lambda: all(endpoint.asked for endpoint in hanging))

        killed = threading.Event()
        kill = SageMakerPipelineExecutionTrigger(
            pipeline_execution_arn=healthy.arns[0], aws_conn_id="aws_hangs_0"
        )

        def stop() -> bool:
            killed.set()
            return True

        kill._stop_now = stop  # type: ignore[method-assign]
        monkeypatch.setattr(kill, "_is_still_deferred", answer_no)
        await kill.on_kill()
        assert killed.is_set()

        healthy.statuses = dict.fromkeys(healthy.arns, "Succeeded")
        events = await asyncio.gather(*waits(healthy, healthy.arns))
        assert not any(task.done() for task in stuck)
        for task in stuck:
            task.cancel()
        await asyncio.gather(*stuck, return_exceptions=True)
        return [event["status"] for event in events]

    assert asyncio.run(asyncio.wait_for(scenario(), GENEROUS_SECONDS)) == ["Succeeded"] * 3


def test_a_look_is_made_with_short_time_outs_unless_the_connection_has_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    extra = {"region_name": "us-east-1", "config_kwargs": {"read_timeout": 7}}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_SLOW", json.dumps({"conn_type": "aws", "extra": extra}))
    hook = SageMakerPipelineHook(aws_conn_id="aws_slow")
    hook.default_config = POLLING_CONFIG
    for client in (hook.client.sagemaker, hook.client.s3):
        assert (client.meta.config.connect_timeout, client.meta.config.read_timeout) == (5, 7)


def test_other_calls_keep_botocores_time_outs(connection: str) -> None:
    assert SageMakerPipelineHook(aws_conn_id=connection).conn.meta.config.read_timeout == 60
